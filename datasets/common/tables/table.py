"""A verified table: the features that were asked for, of the rows whose outcome is known."""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from conf.errors import UserError
from conf.schema import TableDataset
from datasets.common.tables.contract import Contract
from datasets.common.tables.schema import json_schema
from datasets.common.types import Dataset

log = logging.getLogger(__name__)


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


def tabulate(
    frame: pd.DataFrame,
    labels: pd.Series,
    reasons: pd.Series,
    config: TableDataset,
    contract: Contract,
) -> Table:
    """The `Table` of the typed rows of `frame`.

    `labels` are class numbers. A row with a text in `reasons` has no known outcome and is
    quarantined with this reason. Raises `UserError` for a column that may not be a feature, and for
    a class without rows.
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


def digest(frame: pd.DataFrame) -> str:
    """Hex sha256 of the values of `frame`, whatever the order of its rows."""
    lines = sorted(frame.to_csv(index=False, header=False).splitlines())
    return hashlib.sha256("\n".join([",".join(frame.columns), *lines]).encode()).hexdigest()
