r"""What table datasets share: a CSV read without guessing, its contract, and what is verified.

A dataset brings a `Contract`: the columns of its file as a pandera schema, which of them may be
features, and why the others may not. Types, categories, ranges and descriptions stand there once;
the JSON Schema that travels with a model, and that its service validates with, is made from it.

```mermaid
flowchart LR
    F[CSV file or drawn table] --> C{columns of the contract}
    C --> T[typed, column by column] --> P{pandera: categories, ranges, nulls}
    P --> O[outcome of each row] -->|unknown| Q[quarantined, with a reason]
    O --> U{features allowed, no class empty} --> B[Table]
```

Whatever fails is a `conf.errors.UserError` that names column, value and row. Row 1 is the first
below the header. Columns are found by name, in any order.
"""

import csv
import hashlib
import io
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pandera.pandas as pa
from omegaconf import DictConfig

from conf.errors import UserError
from conf.schema import Source
from datasets.common.types import Dataset

log = logging.getLogger(__name__)

EMPTY = ("", "NA")
"""What stands for no value in a file."""
SHOWN = 5
"""Examples in a message."""
LONGEST = 60
"""Characters of a value shown in a message."""

Draw = Callable[[int, int], pd.DataFrame]
"""From a number of rows and a seed to a generated table with all columns of the contract."""


@dataclass(frozen=True)
class Contract:
    """What a table's file must hold, and what of it a model may see."""

    columns: pa.DataFrameSchema
    features: tuple[str, ...]
    """What may be a feature, in the order of the model's inputs."""
    refused: dict[str, str]
    """Every other column, with the reason why it is no feature."""
    group: str
    """The column whose rows stay together: they are not independent."""


@dataclass(frozen=True, kw_only=True)
class Table(Dataset):
    """A verified table.

    `frame` has one row a record: the features, label (int, the class number), group (int), row
    (its number in the file). `quarantined` has the columns row and reason. `digest` covers all
    columns of the file.
    """

    SPLIT_COLUMNS: ClassVar[tuple[str, ...]] = ("row", "label", "group")
    GROUP_COLUMN: ClassVar[str] = "group"

    features: tuple[str, ...]
    group: str
    """The column of the file that makes the groups, such as `Plot`."""
    schema: dict[str, Any]
    """JSON Schema of one record of features."""

    @property
    def categories(self) -> dict[str, list[str | int]]:
        """The features with a fixed choice of values, each with its choices."""
        properties = self.schema["properties"]
        return {name: each["enum"] for name, each in properties.items() if "enum" in each}


def load(config: DictConfig, contract: Contract, draw: Draw) -> pd.DataFrame:
    """The typed columns of `contract`, in its order, from the source that `config` names.

    `config` is a `conf.schema.TableDataset`. Raises `UserError` where the contract is broken.
    """
    if config.source == Source.sample:
        return validated(draw(config.sample_rows, config.seed), contract)
    if config.source != Source.directory:
        raise UserError(
            f"dataset.source={config.source.name}: {config.name} is a table; choices are sample, "
            "and directory with dataset.path=/a/file.csv"
        )
    return validated(read_csv(_file(config)), contract)


def tabulate(
    frame: pd.DataFrame,
    labels: pd.Series,
    reasons: pd.Series,
    config: DictConfig,
    contract: Contract,
) -> Table:
    """The `Table` of the typed rows of `frame`.

    `labels` are class numbers; a row with a non-empty text in `reasons` has no known outcome and is
    quarantined with it. Raises `UserError` for a feature that is none and for a class without rows.
    """
    features = allowed(config.features, contract)
    known = reasons == ""
    rows = pd.Series(np.arange(1, len(frame) + 1), index=frame.index)
    quarantined = pd.DataFrame({"row": rows[~known], "reason": reasons[~known]})
    kept = frame[known]
    counts = labels[known].value_counts()
    for number, name in enumerate(config.classes):
        if not counts.get(number, 0):
            raise UserError(
                f"dataset {config.name} has no row of class {name} whose outcome is known; add some"
            )
    log.info("%s: %d rows, %d without a known outcome", config.name, len(kept), len(quarantined))
    columns = {"label": labels[known].astype(np.int64), "group": kept[contract.group]}
    return Table(
        name=config.name,
        classes=tuple(config.classes),
        features=features,
        frame=kept[list(features)].assign(**columns, row=rows[known]).reset_index(drop=True),
        quarantined=quarantined.reset_index(drop=True),
        group=contract.group,
        schema=json_schema(contract, features),
        digest=digest(kept),
    )


def read_csv(path: Path) -> pd.DataFrame:
    """The cells of a CSV file as text, None where one is empty or NA; UTF-8, first row the names.

    Raises `UserError` for what is no file, no UTF-8, no CSV, and for rows of another length.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"dataset.path={str(path)!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text (byte {error.start} is {error.object[error.start]:#04x}): "
            "save it as CSV in UTF-8"
        ) from error
    try:
        header, *rows = list(csv.reader(io.StringIO(text, newline=""), strict=True)) or [[]]
    except csv.Error as error:
        raise UserError(f"{path} is not CSV: {error}") from error
    if not any(header):
        raise UserError(f"{path} is empty: expected a first row of column names")
    if len(header) == 1 and set(";\t|") & set(header[0]):
        raise UserError(f"{path} has one column, {header[0][:LONGEST]!r}: separate by commas")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise UserError(
                f"{path}: row {number} has {len(row)} cells and the header {len(header)}; "
                "is the separator a comma, and every text with a comma in quotes?"
            )
    names = [name.strip() for name in header]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{path} has the column {twice[0]!r} twice: remove one of them")
    cells = [[None if cell.strip() in EMPTY else cell.strip() for cell in row] for row in rows]
    return pd.DataFrame(cells, columns=names, dtype=object)


def validated(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """`frame` with the columns of `contract` in its order, each of its type.

    Raises `UserError` for missing and unknown columns, no rows, and values of the wrong type,
    category or range.
    """
    expected = list(contract.columns.columns)
    _check_names(list(frame.columns), expected)
    if frame.empty:
        raise UserError("the table has a header and no rows: nothing to learn from")
    typed = pd.DataFrame({n: _typed(frame[n], contract.columns.columns[n]) for n in expected})
    try:
        return contract.columns.validate(typed, lazy=True)
    except pa.errors.SchemaErrors as error:
        raise UserError(_explain(error.failure_cases, contract)) from None


def allowed(names: Iterable[str], contract: Contract) -> tuple[str, ...]:
    """`names` in the order of the contract; `UserError` says why one of them is no feature."""
    chosen = list(names)
    for name in chosen:
        if name in contract.refused:
            raise UserError(
                f"dataset.features: {name} is refused: {contract.refused[name]}; choices: "
                f"{', '.join(contract.features)}"
            )
        if name not in contract.features:
            raise UserError(
                f"dataset.features: {name} is no column of the table; choices: "
                f"{', '.join(contract.features)}"
            )
    if not chosen:
        raise UserError(f"dataset.features=[] leaves nothing; {', '.join(contract.features)}")
    return tuple(name for name in contract.features if name in chosen)


def json_schema(contract: Contract, features: Iterable[str]) -> dict[str, Any]:
    """JSON Schema (2020-12) of one record: types, categories, ranges, titles, descriptions."""
    properties = {name: _property(contract.columns.columns[name]) for name in features}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [n for n, each in properties.items() if "null" not in each["type"]],
        "properties": properties,
    }


def digest(frame: pd.DataFrame) -> str:
    """Hex sha256 of the values of `frame`, whatever the order of its rows."""
    lines = sorted(frame.to_csv(index=False, header=False).splitlines())
    return hashlib.sha256("\n".join([",".join(frame.columns), *lines]).encode()).hexdigest()


def _file(config: DictConfig) -> Path:
    if not config.path:
        raise UserError(
            "dataset.source=directory needs dataset.path=/a/file.csv; dataset.source=sample draws "
            "a table instead"
        )
    path = Path(config.path).expanduser()
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.csv"))
    if len(found) != 1:
        names = ", ".join(file.name for file in found[:SHOWN]) or "none"
        raise UserError(f"dataset.path={config.path!r}: expected one CSV file in it, found {names}")
    return found[0]


def _check_names(given: list[str], expected: list[str]) -> None:
    missing = [name for name in expected if name not in given]
    unknown = [name for name in given if name not in expected]
    if missing:
        near = get_close_matches(missing[0], unknown, n=1, cutoff=0.5)
        hint = f"; is {near[0]!r} meant for it?" if near else ""
        raise UserError(
            f"the table has no column {', '.join(missing[:SHOWN])}{hint} (expected, in any order: "
            f"{', '.join(expected)})"
        )
    if unknown:
        shown = ", ".join(repr(name[:LONGEST]) for name in unknown[:SHOWN])
        raise UserError(f"the table has unknown columns: {shown}; remove them")


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
    hidden = f"\nand {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return "\n".join(lines[:SHOWN]) + hidden


def _expected(name: Any, check: Any, contract: Contract) -> str:
    limits = _property(contract.columns.columns[name]) if name in contract.columns.columns else {}
    if "enum" in limits:
        return f" is none of {', '.join(map(str, limits['enum']))}"
    if "minimum" in limits:
        return f" is not between {limits['minimum']} and {limits['maximum']}"
    return f": {check}"


def _property(column: pa.Column) -> dict[str, Any]:
    """JSON Schema of a column; its checks are `isin` or `in_range`."""
    kind = {"i": "integer", "f": "number"}.get(column.dtype.type.kind, "string")
    schema: dict[str, Any] = {"type": [kind, "null"] if column.nullable else kind}
    for check in column.checks:
        if check.name == "isin":
            null = [None] if column.nullable else []
            schema["enum"] = [*check.statistics["allowed_values"], *null]
        elif check.name == "in_range":
            schema["minimum"] = check.statistics["min_value"]
            schema["maximum"] = check.statistics["max_value"]
    words = {"title": column.title, "description": column.description}
    return schema | {key: word for key, word in words.items() if word}
