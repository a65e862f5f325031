"""The files of the tree and what they import: every rule starts from these."""

import ast
from collections.abc import Iterator
from pathlib import Path

CODE = ("conf", "datasets", "models", "train", "deploy", "tests")
"""The folders that hold code of the project."""


def python_files(root: Path, *parts: str) -> Iterator[Path]:
    """Python files below `root`/`parts`; notebooks are their authors' own ground."""
    for path in sorted(root.joinpath(*parts).rglob("*.py")):
        relative = path.relative_to(root).parts
        if "notebooks" not in relative and not any(p.startswith(".") for p in relative):
            yield path


def code_files(root: Path) -> Iterator[Path]:
    """Python files of all folders in `CODE`."""
    for layer in CODE:
        yield from python_files(root, layer)


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module(path: Path, root: Path) -> str:
    """The dotted name of a file; that of a package for its `__init__.py`."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path, root: Path) -> Iterator[tuple[str, bool]]:
    """Absolute names that a file imports, and whether it does so when it is itself imported.

    `from a import b` gives `a.b`. Relative imports are resolved by the folders, which works for
    names with hyphens as well, and `import_module("a")` counts where its argument is a constant.
    """
    tree = parsed(path)
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
