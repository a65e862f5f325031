"""The choices of the command line: pipelines and experiments, each with a line of description.

The names are those of the files in `conf/`, and the lines come from their first comments.
"""

import re
from difflib import get_close_matches
from pathlib import Path

CONF = Path(__file__).parent
RECIPES = {
    "train": ("training",),
    "datasets": ("dataset", "dataset_study"),
    "models": ("model_study", "prediction", "comparison"),
}
"""The jobs of each entry: the words after the kind of data in a recipe's name, `image_training`."""
RECIPE = re.compile(r"^ *- /recipe: *\w+?_(\w+)", re.MULTILINE)
PIPELINE = re.compile(r"^ *- /pipeline: *(\S+)", re.MULTILINE)
COMMENT = re.compile(r"\A(?:#.*\n)+")
SENTENCE = re.compile(r"(.+?[.:])(?:\s|$)")


def pipelines(entry: str) -> list[str]:
    """Names of the pipelines under conf/pipeline whose recipe `python -m <entry>` runs."""
    found = ((p.stem, RECIPE.search(p.read_text())) for p in (CONF / "pipeline").glob("*.yaml"))
    return sorted(name for name, recipe in found if recipe and recipe[1] in RECIPES[entry])


def experiments(entry: str) -> list[str]:
    """Names of the experiments under conf/experiment whose pipeline `python -m <entry>` runs."""
    known = pipelines(entry)
    found = ((p.stem, PIPELINE.search(p.read_text())) for p in (CONF / "experiment").glob("*.yaml"))
    return sorted(name for name, pipeline in found if pipeline and pipeline[1] in known)


def entry_of(pipeline: str) -> str | None:
    """The entry that runs `pipeline`; None if there is no such pipeline."""
    return next((entry for entry in RECIPES if pipeline in pipelines(entry)), None)


def line(path: Path) -> str:
    """The purpose of the YAML file `path`: the sentence after the command in its first comment."""
    comment = COMMENT.match(path.read_text(encoding="utf-8"))
    paragraphs = re.sub(r"(?m)^# ?", "", comment[0] if comment else "").split("\n\n")
    told = " ".join(paragraphs[2].split()) if len(paragraphs) > 2 else ""
    sentence = SENTENCE.match(told)
    return (sentence[1] if sentence else told).rstrip(".:")


def offered(entry: str) -> str:
    """Every pipeline and experiment of `python -m <entry>`, one per line, and an example."""
    groups = {"pipeline": pipelines(entry), "experiment": experiments(entry)}
    rows = [
        (f"+{group}={name}", line(CONF / group / f"{name}.yaml"))
        for group, names in groups.items()
        for name in names
    ]
    width = max((len(choice) for choice, _ in rows), default=0)
    example = (groups["pipeline"] or ["..."])[0]
    return "\n".join(
        [
            *(f"  {choice:<{width}}  {said}".rstrip() for choice, said in rows),
            f"for example: python -m {entry} +pipeline={example}",
        ]
    )


def instead(name: str, known: list[str]) -> list[str]:
    """Lines for a message about the wrong `name`: the choices, and the nearest one."""
    near = get_close_matches(name, known, n=1)
    return [f"choices: {', '.join(known)}", *(f"did you mean {found}?" for found in near)]
