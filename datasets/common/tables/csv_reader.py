"""The one reader of CSV files that people write: tables, manifests of images, rows to score.

UTF-8, separated by commas, the names of the columns in the first row. Nothing is guessed: each cell
is text. Row 1 is the first below the header; empty lines do not count.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TextIO

import pandas as pd
import rich.progress

from conf.errors import UserError

EMPTY = ("", "NA")
"""Cells that stand for no value."""
SHOWN = 5
"""Examples in a message."""
LONGEST = 60
"""Characters of a value in a message."""

Cells = list[str]


def value_of(cell: str) -> str | None:
    """The value of a cell without the blanks around it; None where it is empty or NA."""
    value = cell.strip()
    return None if value in EMPTY else value


def read_csv(
    path: Path, columns: Iterable[str], value: Callable[[str], str | None] = value_of
) -> pd.DataFrame:
    """The whole file: `value` of each cell, as dtype object. `columns` must be among its columns.

    Raises `UserError` as `open_csv` and `require` do, and for a row of another length.
    """
    with open_csv(path) as (names, rows):
        cells = []
        for number, row in enumerate(rows, start=1):
            if isinstance(row, str):
                raise UserError(
                    f"{path}: row {number} has {row}; is the separator a comma, and every text "
                    "with a comma in quotes?"
                )
            cells.append([value(cell) for cell in row])
    require(filter(None, names), names, str(path))  # columns with a name have it alone
    require(columns, names, str(path))
    return pd.DataFrame(cells, columns=names, dtype=object)


@contextmanager
def open_csv(path: Path, title: str = "") -> Iterator[tuple[list[str], Iterator[Cells | str]]]:
    """The names of the columns, and an iterator over the rows, which reads them one by one.

    A row is its cells, or, if their number is wrong, a text that says so. With a `title` a
    progress bar is shown. Raises `UserError` for a file that cannot be read, is not UTF-8, is not
    CSV, or has no names of columns.
    """
    try:
        opened = rich.progress.open(
            path, "r", encoding="utf-8-sig", newline="", description=title, disable=not title
        )
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    with opened as file:
        lines = _lines(file, path)
        names = [name.strip() for name in next(lines, [])]
        if not any(names):
            raise UserError(f"{path} is empty: expected a first row of column names")
        if len(names) == 1 and set(";\t|") & set(names[0]):
            raise UserError(f"{path} has one column, {names[0][:LONGEST]!r}: separate by commas")
        wrong = "{} cells, and the header has " + str(len(names))
        yield names, (c if len(c) == len(names) else wrong.format(len(c)) for c in lines)


def require(columns: Iterable[str], names: Sequence[str], where: str) -> None:
    """Raise `UserError` unless each of `columns` is once among the `names` found in `where`."""
    expected = list(columns)
    if twice := [name for name in expected if names.count(name) > 1]:
        raise UserError(f"{where} has the column {twice[0]!r} twice: remove one of them")
    if missing := [name for name in expected if name not in names]:
        others = [name for name in names if name not in expected]
        near = get_close_matches(missing[0], others, n=1, cutoff=0.5)
        hint = f"; is {near[0]!r} meant for it?" if near else ""
        raise UserError(
            f"{where} has no column {', '.join(missing[:SHOWN])}{hint} (expected, in any order: "
            f"{', '.join(expected)})"
        )


def _lines(file: TextIO, path: Path) -> Iterator[Cells]:
    reader = csv.reader(file, strict=True)
    try:
        yield from (line for line in reader if line)
    except csv.Error as error:
        raise UserError(f"{path} is not CSV (line {reader.line_num}): {error}") from error
    except UnicodeDecodeError as error:
        place, byte = _not_utf8(path)
        raise UserError(
            f"{path} is not UTF-8 text (byte {place} is {byte:#04x}): save it as CSV in UTF-8"
        ) from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def _not_utf8(path: Path) -> tuple[int, int]:
    """Place in the file and value of the first byte that is not UTF-8."""
    place = 0
    with path.open("rb") as file:
        for line in file:
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return place + error.start, line[error.start]
            place += len(line)
    return place, 0
