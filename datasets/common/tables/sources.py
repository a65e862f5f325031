"""The two sources of a table: a CSV file, or rows that are drawn on the spot."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from conf.errors import UserError
from conf.schema import Source, TableDataset
from datasets.common.tables.contract import Contract
from datasets.common.tables.csv_reader import SHOWN, read_csv
from datasets.common.tables.validation import validated

Draw = Callable[[int, int], pd.DataFrame]
"""From a number of rows and a seed to a generated table with all columns of the contract."""


def load(config: TableDataset, contract: Contract, draw: Draw) -> pd.DataFrame:
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
    return validated(read_csv(_file(config), contract.columns.columns), contract)


def _file(config: TableDataset) -> Path:
    if not config.path:
        raise UserError(
            "dataset.source=directory needs dataset.path=/a/file.csv; dataset.source=sample draws "
            "a table instead"
        )
    path = Path(config.path).expanduser()
    if not path.exists():
        raise UserError(f"dataset.path={config.path!r}: there is no such file")
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.csv"))
    if len(found) != 1:
        names = ", ".join(file.name for file in found[:SHOWN]) or "none"
        raise UserError(f"dataset.path={config.path!r}: expected one CSV file in it, found {names}")
    return found[0]
