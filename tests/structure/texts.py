"""Rules of what a reader meets in a file: the parts of a model's card, and the length."""

import ast
from pathlib import Path

from tests.common import folders
from tests.structure.tree import code_files, parsed

MAX_LINES = 300
"""Lines of a file, comments, docstrings and blank lines included."""


def model_card_problems(root: Path) -> list[str]:
    """The parts that a model's `__init__` carries for its readers."""
    problems = []
    for name in folders(root / "models", "__init__.py"):
        path = root / "models" / name / "__init__.py"
        text = (ast.get_docstring(parsed(path)) or "").lower()
        for part in ("motivation", "changes", "```mermaid"):
            if part not in text:
                problems.append(f"{path.relative_to(root)}: its docstring has no {part}")
    return problems


def length_problems(root: Path) -> list[str]:
    """Files with more lines than one subject takes."""
    return [
        f"{path.relative_to(root)} has {lines} lines, over {MAX_LINES}: it has two subjects"
        for path in code_files(root)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    ]
