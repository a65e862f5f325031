"""Tables in Markdown, and the marked places of a page that commands fill."""

import re
from collections.abc import Callable, Sequence

PLACE = re.compile(
    r"(?P<begin><!-- table: (?P<name>[\w/-]+)[^>]*-->\n).*?(?P<end><!-- end -->)", re.S
)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; a bar inside a cell is escaped."""
    lines = [_row(head), "|" + "---|" * len(head), *map(_row, rows)]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    escaped = (cell.replace("\n", " ").replace("|", "\\|") for cell in cells)
    return "| " + " | ".join(escaped) + " |"


def code(text: str) -> str:
    """`text` as code, or nothing."""
    return f"`{text}`" if text else ""


def spread(value: float, low: float | None = None, high: float | None = None) -> str:
    """A figure and its interval, where it has one."""
    return f"{value:.3f}" + ("" if low is None or high is None else f" [{low:.3f}, {high:.3f}]")


def filled(text: str, table_of: Callable[[str], str]) -> str:
    """`text` with each place between `<!-- table: name -->` and `<!-- end -->` filled anew."""

    def fill(found: re.Match[str]) -> str:
        return f"{found['begin']}\n{table_of(found['name'])}\n\n{found['end']}"

    return PLACE.sub(fill, text)
