"""The rules of the tree, as functions from a root folder to the list of what breaks them.

They read files and import nothing of the project, so they answer in about a second, and
`tests/test_structure.py` can point them at a bad tree to see that each of them can fail.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.common import folders

CODE = ("conf", "datasets", "models", "train", "deploy", "tests")
MAX_LINES = 300
FORBIDDEN_NAMES = {"utils", "core", "lib", "src"}
PROJECT = {"conf", "datasets", "models", "train"}
READER = "datasets.common.images"
"""What travels with a service: it stands alone, and is all that `deploy` imports of the project."""
ABOVE_READER = ("datasets/__init__.py", "datasets/common/__init__.py")
"""They travel too, and hold nothing that runs."""
TRACKING = "train/common/tracking"
"""The room that logs runs, registers models and reads them back: it alone imports MLflow."""
JOBS = "train.jobs"
"""What `python -m datasets` and `python -m models` run, imported by their `__main__` alone."""
SLOW = {"tensorflow", "keras", "mlflow", "pandas", "matplotlib", "sklearn", "bentoml"}
"""Not at module level of what runs before the configuration is known to be valid."""

STDLIB = set(sys.stdlib_module_names)
READER_NEEDS = STDLIB | {"PIL", "datasets", "numpy", "pydicom"}

PIECE = re.compile(r"[a-z][a-zA-Z0-9]*")
TRAINING = re.compile(r"(?P<model>[a-zA-Z0-9]+)-(?P<dataset>[a-zA-Z0-9]+)_v[1-9][0-9]*")
PIPELINE = re.compile(r"(?P<task>[a-z]+)_[a-zA-Z0-9]+(?:[_-][a-zA-Z0-9]+)*")
RESERVED_TASKS = {
    "train": "train",
    "dataset": "datasets",
    "study": "models",
    "predict": "models",
}
"""The module that runs the pipelines of each reserved task; `datasets` a study of a dataset."""
OF_A_DATASET = re.compile(r"^ *- /recipe: *\w+_dataset_study\b", re.MULTILINE)


def python_files(root: Path, *parts: str) -> Iterator[Path]:
    """Python files below `root`/`parts`; notebooks are their authors' own ground."""
    for path in sorted(root.joinpath(*parts).rglob("*.py")):
        relative = path.relative_to(root).parts
        if "notebooks" not in relative and not any(p.startswith(".") for p in relative):
            yield path


def imported(path: Path, root: Path) -> Iterator[tuple[str, bool]]:
    """Absolute names that a file imports, and whether it does so when it is itself imported.

    `from a import b` gives `a.b`. Relative imports are resolved by the folders, which works for
    names with hyphens as well, and `import_module("a")` counts where its argument is a constant.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    package = path.relative_to(root).parts[:-1]
    eager = set(_eager(tree))
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            start = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{start}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names = [str(a.value) for a in node.args[:1] if isinstance(a, ast.Constant)]
        yield from ((name, node in eager) for name in names)


def _eager(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes that run on import: those outside functions and `if TYPE_CHECKING:`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        yield node
        yield from _eager(node)


def allowed(relative: Path) -> tuple[str, ...] | None:
    """Modules of the project that a file may import; None where every one is allowed."""
    layer, *rest = relative.parts
    if relative.is_relative_to(READER.replace(".", "/")):
        return (READER,)
    if layer == "conf":
        return ("conf",)
    if relative.as_posix() in ("datasets/__main__.py", "models/__main__.py"):
        return ("conf", JOBS)
    if layer in ("datasets", "models"):
        own = f"{layer}.{rest[0]}" if len(rest) > 1 else f"{layer}.common"
        shared = ("models.tables",) if layer == "models" else ()
        return ("conf", f"{layer}.common", *shared, own)
    if layer == "deploy":
        return (READER,)
    if layer != "train":
        return None
    if len(rest) == 1 or rest[0] == "common":
        return ("conf", "datasets", "models", "train.common")
    if rest[0] == "jobs":
        return ("conf", "datasets", "models", "train.common", JOBS)
    return ("conf", "datasets", "models", "train.common", f"train.{rest[0]}")


def import_problems(root: Path) -> list[str]:
    """Imports against the order of the layers.

    conf <- datasets, models <- train.common <- train.<pipeline>, train.jobs <- `__main__`.
    """
    problems = []
    for path in (file for layer in CODE for file in python_files(root, layer)):
        relative = path.relative_to(root)
        layer, may, entry = relative.parts[0], allowed(relative), path.name == "__main__.py"
        for name, eager in imported(path, root):
            top = name.split(".")[0]
            inside = any(name == m or name.startswith(f"{m}.") for m in may or ())
            if may is not None and top in PROJECT and not inside:
                rule = f"may import of the project only: {', '.join(may) or 'nothing'}"
                problems.append(f"{relative} imports {name}: {rule}")
            if layer in PROJECT and top == "mlflow" and not relative.is_relative_to(TRACKING):
                problems.append(f"{relative} imports {name}: only modules of {TRACKING} may")
            if may == (READER,) and layer != "deploy" and top not in READER_NEEDS:
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
            for node in ast.parse((root / name).read_text("utf-8")).body
        )
    ]


def file_problems(root: Path) -> list[str]:
    """Missing strict files, ill-named folders, forbidden names, an __init__.py in deploy."""
    problems = []
    for layer, strict in (("datasets", "dataset.py"), ("models", "model.py")):
        kind = layer.removesuffix("s")
        for name in folders(root / layer):
            if not PIECE.fullmatch(name):
                problems.append(f"{layer}/{name}: letters and digits only, a small one first")
            for needed in ("__init__.py", strict, "common.py"):
                if not (root / layer / name / needed).is_file():
                    problems.append(f"{layer}/{name}/{needed} is missing, also if it is empty")
            if not (root / "conf" / kind / f"{name}.yaml").is_file():
                problems.append(f"conf/{kind}/{name}.yaml is missing for {layer}/{name}")
    for path in sorted((root / "deploy").rglob("__init__.py")):
        problems.append(f"{path.relative_to(root)}: deploy has none, so that pdoc leaves it out")
    for name in folders(root / "deploy"):
        for version in folders(root / "deploy" / name):
            if not re.fullmatch(r"V[1-9][0-9]*", version):
                continue  # a service's own static files and the like
            home = root / "deploy" / name / version
            for needed in ("create_bento_model.py", "common.py", "service.py", "ecr.sh"):
                if not (home / needed).is_file():
                    problems.append(f"{(home / needed).relative_to(root)} is missing")
            if not any(home.glob("sample-input.*")):
                problems.append(f"{home.relative_to(root)}/sample-input.* is missing")
    candidates = [*root.iterdir(), *(path for layer in CODE for path in (root / layer).rglob("*"))]
    for path in sorted(candidates):
        code = path.is_dir() or path.suffix == ".py"
        if code and path.stem in FORBIDDEN_NAMES:
            problems.append(f"{path.relative_to(root)}: call it by its subject, or common")
    return problems


def training_problems(root: Path) -> list[str]:
    """Training folders: the name, what it refers to, and `train(config: DictConfig)`."""
    problems = []
    for name in folders(root / "train"):
        if name == JOBS.rpartition(".")[2]:
            continue
        if not (match := TRAINING.fullmatch(name)):
            problems.append(f"train/{name}: expected <model>-<dataset>_v<N>")
        else:
            for layer, piece in (("models", match["model"]), ("datasets", match["dataset"])):
                if not (root / layer / piece).is_dir():
                    problems.append(f"train/{name}: there is no {layer}/{piece}")
        path = root / "train" / name / "pipeline.py"
        if not path.is_file():
            problems.append(f"train/{name}/pipeline.py is missing")
        elif not any(_is_train(node) for node in ast.parse(path.read_text("utf-8")).body):
            problems.append(f"train/{name}/pipeline.py has no train(config: DictConfig)")
    return problems


def _is_train(node: ast.stmt) -> bool:
    if not isinstance(node, ast.FunctionDef) or node.name != "train":
        return False
    given = ast.unparse(node.args).replace("omegaconf.", "")
    return given == "config: DictConfig"


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
    """Experiments and presets for debugging: the first comment, as that of a pipeline."""
    return [
        problem
        for group in ("experiment", "debug")
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


def model_card_problems(root: Path) -> list[str]:
    """The parts that a model's `__init__` carries for its readers."""
    problems = []
    for name in folders(root / "models", "__init__.py"):
        path = root / "models" / name / "__init__.py"
        text = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").lower()
        for part in ("motivation", "changes", "```mermaid"):
            if part not in text:
                problems.append(f"{path.relative_to(root)}: its docstring has no {part}")
    return problems


def code_lines(text: str) -> int:
    """Lines that hold code: blank lines, comments and docstrings do not count."""
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        value = node.value if isinstance(node, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            docstrings.update(range(value.lineno, (value.end_lineno or value.lineno) + 1))
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped and token.string:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


def length_problems(root: Path) -> list[str]:
    """Files with more lines of code than one subject takes."""
    return [
        f"{path.relative_to(root)} has {lines} lines of code, over {MAX_LINES}: it has two subjects"
        for path in (file for layer in CODE for file in python_files(root, layer))
        if (lines := code_lines(path.read_text(encoding="utf-8"))) > MAX_LINES
    ]


CHECKS = (
    import_problems,
    reader_problems,
    file_problems,
    training_problems,
    pipeline_problems,
    preset_problems,
    model_card_problems,
    length_problems,
)
