"""Which names a generator takes for a new model or dataset, and for which one that exists."""

import importlib.util
import keyword
import re
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from conf.errors import UserError

PIECE = re.compile(r"[a-z][a-zA-Z0-9]{1,23}")
"""Names of models and datasets; with longer ones, the generated lines would be too long."""
SHARED = ("datasets", "models", "deploy")
"""What lies in these may have the name of a model or dataset; modules would be hidden by it."""


def is_new(root: Path, kind: str, name: str, task: str) -> bool:
    """Whether the project in `root` has no model or dataset (`kind`) of this name yet.

    Raises `UserError` for a name that cannot be one, that something else bears, and for a model or
    dataset of another task than `task`, `image` or `table`.
    """
    given = f"{kind.upper()}={name}"
    if not PIECE.fullmatch(name):
        raise UserError(
            f"{given}: 2 to 24 letters and digits, a small letter first, such as myNet2 (hyphen "
            "and underscore separate names: make new-pipeline MODEL=mynet DATASET=myimages)"
        )
    if (root / f"{kind}s" / name / f"{kind}.py").is_file():
        _check_task(root, kind, name, task)
        return False
    if taken := _taken(root, name):
        raise UserError(f"{given} is the name of something else, {taken}: choose another")
    return True


def _check_task(root: Path, kind: str, name: str, task: str) -> None:
    config: Any = OmegaConf.load(root / "conf" / kind / f"{name}.yaml")
    schema = next(each for each in config.defaults if each.endswith("_schema"))
    theirs = schema.removesuffix("_schema")
    if theirs != task:
        raise UserError(
            f"{kind.upper()}={name} is for TASK={theirs}, not for TASK={task}: say "
            f"TASK={theirs}, or choose another {kind}"
        )


def _taken(root: Path, name: str) -> str:
    """What bears `name` in the project or in Python, or "".

    Capitals make no difference, as for some file systems and for repositories in ECR.
    """
    for folder in SHARED:
        for path in sorted((root / folder).glob("*")):
            if path.name.removesuffix(".py").lower() == name.lower():
                return str(path.relative_to(root))
    if keyword.iskeyword(name):
        return "a word of Python"
    return f"the module {name} of Python" if importlib.util.find_spec(name) else ""
