"""A frame verified against its contract: names of columns, types, then the checks of pandera."""

from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from conf.errors import UserError
from datasets.common.tables.contract import Contract
from datasets.common.tables.csv_reader import LONGEST, SHOWN, require
from datasets.common.tables.schema import json_property


def validated(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """`frame` with the columns of `contract` in its order, each of its type.

    Raises `UserError` for missing and unknown columns, no rows, and values of the wrong type,
    category or range.
    """
    expected = list(contract.columns.columns)
    require(expected, list(frame.columns), "the table")
    if unknown := [name for name in frame.columns if name not in expected]:
        names = ", ".join(repr(name[:LONGEST]) for name in unknown[:SHOWN])
        raise UserError(f"the table has unknown columns: {names}; remove them")
    if frame.empty:
        raise UserError("the table has a header and no rows: nothing to learn from")
    typed = pd.DataFrame({n: _typed(frame[n], contract.columns.columns[n]) for n in expected})
    try:
        return contract.columns.validate(typed, lazy=True)
    except pa.errors.SchemaErrors as error:
        raise UserError(_explain(error.failure_cases, contract)) from None


def _typed(values: pd.Series, column: pa.Column) -> pd.Series:
    """`values` as the type of `column`, or `UserError` naming the first that cannot be."""
    kind = column.dtype.type
    if kind.kind not in "if":
        return values.astype("str")
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    wrong = values.notna() & ~np.isfinite(numbers)
    if kind.kind == "i":
        wrong |= numbers.notna() & (numbers % 1 != 0)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        word = "a whole number" if kind.kind == "i" else "a number"
        raise UserError(
            f"column {column.name}, row {row + 1}: {str(values.iloc[row])[:LONGEST]!r} is not "
            f"{word}" + (f" ({wrong.sum()} such rows)" if wrong.sum() > 1 else "")
        )
    return numbers if kind.kind == "f" or numbers.isna().any() else numbers.astype(kind)


def _explain(failures: pd.DataFrame, contract: Contract) -> str:
    """What pandera found, column by column, each with its first value and row."""
    lines = []
    for (name, check), found in failures.groupby(["column", "check"], sort=False):
        if str(check).startswith("dtype"):
            continue  # a whole number that is missing: not_nullable says it
        first = found.iloc[0]
        where = "" if pd.isna(first["index"]) else f", row {int(first['index']) + 1}"
        value = str(first["failure_case"])[:LONGEST]
        more = f" ({len(found)} such rows)" if len(found) > 1 else ""
        lines.append(
            f"column {name}{where}: no value{more}"
            if check == "not_nullable"
            else f"column {name}{where}: {value!r}{_expected(name, check, contract)}{more}"
        )
    return shortened(lines)


def shortened(lines: list[str]) -> str:
    """The first of several faults, a line each, and how many more there are."""
    hidden = f"\nand {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return "\n".join(lines[:SHOWN]) + hidden


def _expected(name: Any, check: Any, contract: Contract) -> str:
    limits = (
        json_property(contract.columns.columns[name]) if name in contract.columns.columns else {}
    )
    if "enum" in limits:
        return f" is none of {', '.join(map(str, limits['enum']))}"
    if "minimum" in limits:
        return f" is not between {limits['minimum']} and {limits['maximum']}"
    return f": {check}"
