"""Rules of pipelines, experiments and presets: their names, and the comment they begin with."""

import re
from pathlib import Path

PIPELINE = re.compile(r"(?P<task>[a-z]+)_[a-zA-Z0-9]+(?:[_-][a-zA-Z0-9]+)*")
RESERVED_TASKS = {
    "train": "train",
    "dataset": "datasets",
    "study": "models",
    "predict": "models",
}
"""The module that runs the pipelines of each reserved task; `datasets` a study of a dataset."""
OF_A_DATASET = re.compile(r"^ *- /recipe: *\w+_dataset_study\b", re.MULTILINE)


def pipeline_problems(root: Path) -> list[str]:
    """Pipelines of the configuration: the name, and the first comment: command, and what for."""
    problems = []
    for path in sorted((root / "conf" / "pipeline").glob("*")):
        relative = path.relative_to(root)
        match = PIPELINE.fullmatch(path.stem)
        if path.suffix != ".yaml" or not match:
            problems.append(f"{relative}: expected <task>_<name>.yaml, such as train_resnet.yaml")
            continue
        text = path.read_text(encoding="utf-8")
        module = RESERVED_TASKS.get(match["task"], r"\w+")
        module = "datasets" if OF_A_DATASET.search(text) else module
        command = rf"{module} \+pipeline={re.escape(path.stem)}"
        problems += _comment_problems(relative, text, command)
    return problems


def preset_problems(root: Path) -> list[str]:
    """Experiments, sweeps and presets for debugging: the first comment, as that of a pipeline."""
    return [
        problem
        for group in ("experiment", "debug", "sweep")
        for path in sorted((root / "conf" / group).glob("*.yaml"))
        for problem in _comment_problems(
            path.relative_to(root),
            path.read_text(encoding="utf-8"),
            rf"\w+ .*\+{group}={re.escape(path.stem)}",
        )
    ]


def _comment_problems(relative: Path, text: str, arguments: str) -> list[str]:
    """What the first comment of a file that `python -m <arguments>` chooses does not say."""
    comment = re.match(r"(?:#.*(?:\n|$))*", text)
    found = re.search(rf"python -m {arguments}\b.*((?:\n.*)*)", comment[0] if comment else "")
    if not found:
        shown = arguments.replace("\\w+", "<module>").replace(".*", "").replace("\\", "")
        return [f"{relative}: its first comment must hold the command `python -m {shown}`"]
    if not re.search(r"\n#\n# *\w", found[1]):
        return [f"{relative}: its first comment must say below the command what it is for"]
    return []
