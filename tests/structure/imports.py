"""Rules of imports: the order of the layers, the rooms of `deploy/serving`, and no circle.

conf <- datasets, models <- train.common <- train.<pipeline>, train.jobs <- `__main__`; and apart
from these, the reader of images <- deploy.
"""

import ast
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.structure.tree import code_files, imported, module, parsed

PROJECT = {"conf", "datasets", "models", "train"}
LAYERS = PROJECT | {"deploy"}
READER = "datasets.common.images"
"""What travels with a service: it stands alone, and is all that `deploy` imports of the project."""
ABOVE_READER = ("datasets/__init__.py", "datasets/common/__init__.py")
"""They travel too, and hold nothing that runs."""
SERVING = "deploy.serving"
ROOMS = {
    "http": (),
    "images": (READER, f"{SERVING}.images"),
    "tables": (f"{SERVING}.tables",),
}
"""Rooms of `deploy/serving`, and what each imports beside `SHARED`."""
SHARED = (f"{SERVING}.http", f"{SERVING}.version")
ORDER = ("data", "evaluation", "tracking", "fitting", "export", "gate", "cross_validation")
"""Rooms of `train/common`; each imports those before it."""
TRACKING = "train/common/tracking"
"""The room that logs runs, registers models and reads them back: it alone imports MLflow."""
JOBS = "train.jobs"
"""What `python -m datasets` and `python -m models` run, imported by their `__main__` alone."""
SLOW = {"tensorflow", "keras", "mlflow", "pandas", "matplotlib", "sklearn", "bentoml"}
"""Not at module level of what runs before the configuration is known to be valid."""

PROMOTION = "deploy/promote.py"
"""A command of developers that travels in no Bento; its rules are those of training."""

STDLIB = set(sys.stdlib_module_names)
READER_NEEDS = STDLIB | {"PIL", "datasets", "numpy", "pydicom"}


def _in_reader(relative: Path) -> bool:
    return relative.is_relative_to(READER.replace(".", "/"))


def allowed(relative: Path) -> tuple[str, ...] | None:
    """Modules of the project that a file may import; None where every one is allowed."""
    layer, *rest = relative.parts
    if _in_reader(relative):
        return (READER,)
    if layer == "conf":
        return ("conf",)
    if relative.as_posix() in ("datasets/__main__.py", "models/__main__.py"):
        return ("conf", JOBS)
    if layer in ("datasets", "models"):
        own = f"{layer}.{rest[0]}" if len(rest) > 1 else f"{layer}.common"
        shared = ("models.tables", "models.unlikeness") if layer == "models" else ()
        return ("conf", f"{layer}.common", *shared, own)
    if layer == "deploy":
        if relative.as_posix() == PROMOTION:
            return ("conf", "deploy", "train.common.tracking")
        if rest[0] != "serving":
            return (READER, "deploy")
        return (*SHARED, *ROOMS[rest[1]]) if rest[1] in ROOMS else (SERVING,)
    if layer != "train":
        return None
    if rest[0] == "common" and (room := Path(rest[1]).stem) in ORDER:
        rooms = ORDER[: ORDER.index(room) + 1]
        return ("conf", "datasets", "models", *(f"train.common.{name}" for name in rooms))
    if len(rest) == 1 or rest[0] == "common":
        return ("conf", "datasets", "models", "train.common")
    if rest[0] == "jobs":
        return ("conf", "datasets", "models", "train.common", JOBS)
    return ("conf", "datasets", "models", "train.common", f"train.{rest[0]}")


def import_problems(root: Path) -> list[str]:
    """Imports against the order of the layers and rooms, and slow ones where they would wait."""
    problems = []
    for path in code_files(root):
        relative = path.relative_to(root)
        layer, may, entry = relative.parts[0], allowed(relative), path.name == "__main__.py"
        for name, eager in imported(path, root):
            top = name.split(".")[0]
            inside = any(name == m or name.startswith(f"{m}.") for m in may or ())
            if may is not None and top in LAYERS and not inside:
                rule = f"may import of the project only: {', '.join(may) or 'nothing'}"
                problems.append(f"{relative} imports {name}: {rule}")
            if layer in PROJECT and top == "mlflow" and not relative.is_relative_to(TRACKING):
                problems.append(f"{relative} imports {name}: only modules of {TRACKING} may")
            if _in_reader(relative) and top not in READER_NEEDS:
                needs = ", ".join(sorted(READER_NEEDS - STDLIB))
                problems.append(
                    f"{relative} imports {name}: the reader travels with every service; it may "
                    f"import only {needs} and the standard library"
                )
            if layer in ("datasets", "models") and top == "hydra":
                problems.append(f"{relative} imports {name}: configuration arrives as arguments")
            if eager and top in SLOW and (layer == "conf" or entry):
                problems.append(f"{relative} imports {name} at module level: --help would wait")
    return problems


def reader_problems(root: Path) -> list[str]:
    """Code in the packages around the reader: it would run in every service."""
    return [
        f"{name}: it travels with the reader, so it holds a docstring and nothing else"
        for name in ABOVE_READER
        if (root / name).is_file()
        and any(
            not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant)
            for node in parsed(root / name).body
        )
    ]


def circle_problems(root: Path) -> list[str]:
    """A circle of modules that import each other.

    Imports inside functions and below `if TYPE_CHECKING:` count too: they hide a circle from
    Python and leave it to the reader. A submodule does not import its package by being in it.
    """
    modules = {module(path, root): path for path in code_files(root)}
    graph = {}
    for name, path in modules.items():
        found = {_module_of(wanted, modules) for wanted, _ in imported(path, root)}
        graph[name] = sorted(found - {"", name})
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # A node of the list is imported by the one after it.
        circle = " -> ".join(reversed(error.args[1]))
        return [f"{circle}: modules import in one direction; move what they share into a third"]
    return []


def _module_of(name: str, modules: dict[str, Path]) -> str:
    """The module among `modules` that `name` is or stands in; "" for what is not ours."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name
