"""The commands that a page of Markdown names, and what is wrong with each of them."""

import importlib.util
import re
import shlex
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from conf import choices
from docs.pages import CODE
from tests.common import ROOT, composed, deployments, pipelines, trainings

FENCE = re.compile(r"^[ \t]*```shell\n(?P<body>.*?)^[ \t]*```", re.MULTILINE | re.DOTALL)
FOREIGN = {
    "caddy",
    "cd",
    "export",
    "git",
    "pipenv",
    "pipx",
    "podman",
    "pre-commit",
    "read",
    "source",
}
"""Programs and words of the shell that are not the project's."""
INLINE = re.compile(r"(make|python|mlflow|dvc|bentoml) [^<\n]*")
"""Code in a sentence that is a command; what stands between angle brackets is to be filled in."""
ASSIGNMENT = re.compile(r"[A-Z_]+=.*")
YOURS = {
    "train_efficientnetliteft-myimages": "train_efficientnetliteft",
    "dataset_myimages": "dataset_kvasir4",
}
"""Pipelines that a reader writes with `make new-pipeline`, and the examples they are like."""
ROUTE = re.compile(r'"/([a-z.]+)"')


def commands(text: str) -> Iterator[str]:
    """Every command of a page: the lines of its shell blocks, and code in the text that is one."""
    for found in FENCE.finditer(text):
        body, folder = found["body"].replace("\\\n", " "), Path()
        for line in body.splitlines():
            for command in _joined(shlex.split(line, comments=True)):
                if command.startswith("cd "):
                    folder = Path(command.removeprefix("cd "))
                elif command.startswith("./"):
                    yield str(folder / command)
                else:
                    yield command
    for found in CODE.finditer(text):
        inline = found[0].strip("`")
        if found["tick"] and INLINE.fullmatch(inline) and "..." not in inline:
            yield inline


def _joined(words: list[str]) -> Iterator[str]:
    """The commands of a line that `&&` joins."""
    line: list[str] = []
    for word in [*words, "&&"]:
        if word == "&&" and line:
            yield shlex.join(line)
            line = []
        else:
            line.append(word)


def problem(command: str) -> str:
    """What is wrong with `command`, or nothing."""
    words = shlex.split(command)
    while words and ASSIGNMENT.fullmatch(words[0]):
        words = words[1:]
    if not words:
        return ""
    program, *rest = words
    program = program.removeprefix(".venv/bin/")
    if program in FOREIGN:
        return ""
    check = CHECKS.get(program) or (_script if program.endswith(".sh") else None)
    if check is None:
        return f"{program} is no program that the pages may name"
    return check([program, *rest])


def _make(words: list[str]) -> str:
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if not equals and name not in targets:
            return f"make has no target {name}"
        if equals and not re.search(rf"\$\((value |origin )?{name}\)", text):
            return f"make knows no variable {name}"
        if name == "PIPELINE" and value not in pipelines():
            return f"there is no pipeline {value}"
        if name == "DEPLOYMENT" and value not in deployments():
            return f"there is no deployment {value}"
        if name == "MODEL" and {"promote", "rollback"} & set(words):
            known = {training.rpartition("_")[0] for training in trainings()}
            return "" if value in known else f"no training registers {value}"
    return ""


def _python(words: list[str]) -> str:
    if words[1] == "-m":
        module, rest = words[2], words[3:]
        if module in choices.RECIPES:
            return _composes(module, rest)
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            return f"there is no module {module}"
        return _options(Path(spec.origin), rest)
    path = ROOT / words[1]
    return _options(path, words[2:]) if path.is_file() else f"there is no {words[1]}"


def _composes(module: str, words: list[str]) -> str:
    """What Hydra and the schema say of a command line."""
    overrides = [word for word in words if "=" in word]
    for place, (key, _, value) in enumerate(word.partition("=") for word in overrides):
        overrides[place] = f"{key}={YOURS.get(value, value)}"
    chosen = [word for word in overrides if word.startswith(("+pipeline=", "+experiment="))]
    if not words or "--help" in words:
        return ""  # the name of the command, or a question
    known = {f"+pipeline={name}" for name in choices.pipelines(module)}
    known |= {f"+experiment={name}" for name in choices.experiments(module)}
    if len(chosen) != 1 or chosen[0] not in known:
        return f"{module} has no {chosen or 'pipeline'}"
    try:
        if "--multirun" in words:
            parsed = OverridesParser.create().parse_overrides(overrides)
            [[overrides, *_]] = BasicSweeper.split_arguments(parsed, None)  # the first job
        composed(*overrides)
    except Exception as error:  # Hydra, OmegaConf and our own: each says what it does not like
        return f"{type(error).__name__}: {error}"
    return ""


def _options(script: Path, words: list[str]) -> str:
    """The first option of `words`, up to `--`, that the script's text does not hold."""
    own = words[: words.index("--")] if "--" in words else words
    text = script.read_text()
    unknown = [word for word in own if word.startswith("--") and f'"{word}"' not in text]
    if not unknown and "docs.benchmarks" in str(script.with_suffix("")).replace("/", "."):
        return _python(["python", *words[words.index("--") + 1 :]])
    return f"{script.name} has no option {unknown[0]}" if unknown else ""


def _script(words: list[str]) -> str:
    if not (ROOT / words[0]).is_file():
        return f"there is no {words[0]}"
    text = (ROOT / "deploy" / "ecr.sh").read_text()
    unknown = [word for word in words[1:] if word.startswith("--") and f"{word} " not in text]
    return f"{words[0]} has no option {unknown[0]}" if unknown else ""


def _curl(words: list[str]) -> str:
    known = set(ROUTE.findall((ROOT / "deploy" / "serving" / "http" / "routes.py").read_text()))
    known |= {"livez", "readyz"}  # BentoML's own
    for word in words:
        if word.startswith("http"):
            route = re.sub(r"^https?://[^/]+/?|\?.*$", "", word)
            if route and route not in known:
                return f"the services have no route /{route}"
    return ""


def _click(load: Callable[[], object]) -> Callable[[list[str]], str]:
    """A check of a command of click: its subcommand and the names of its options."""

    def check(words: list[str]) -> str:
        known = getattr(load(), "commands")  # noqa: B009 -- click has no types here
        if words[1] not in known:
            return f"{words[0]} has no command {words[1]}"
        options = {name for each in known[words[1]].params for name in each.opts}
        named = [w.partition("=")[0] for w in words[2:] if re.match(r"--?[a-zA-Z]", w)]
        unknown = [name for name in named if name not in options]
        return f"{words[0]} {words[1]} has no option {unknown[0]}" if unknown else ""

    return check


@cache
def _mlflow() -> object:
    from mlflow.cli import cli

    return cli


@cache
def _bentoml() -> object:
    from bentoml_cli.cli import cli

    return cli


def _dvc(words: list[str]) -> str:
    from dvc.cli.parser import DvcParserError, get_main_parser

    try:
        get_main_parser().parse_args(words[1:])
    except DvcParserError:
        return f"dvc does not take {shlex.join(words[1:])}"
    return ""


CHECKS: dict[str, Callable[[list[str]], str]] = {
    "make": _make,
    "python": _python,
    "curl": _curl,
    "mlflow": _click(_mlflow),
    "bentoml": _click(_bentoml),
    "dvc": _dvc,
}
