"""Code that jobs on tables share: the table, its counts and facts."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from conf.schema import TableDataset, TableDatasetJob, TableDatasetStudy, TableModelStudy
from datasets.common.tables import Table
from train.common.data.build import build_table
from train.common.data.tables import as_floats
from train.common.tracking.log import Run

OfTable = TableDatasetJob | TableDatasetStudy | TableModelStudy


def verified(settings: OfTable, run: Run) -> Table:
    """The table of `settings.dataset`, for any dataset; logged to the run."""
    table = as_floats(build_table(settings.dataset, Path(settings.env.cache)))
    run.log_data(table)
    return table


def described(dataset: TableDataset) -> ModuleType:
    """The module of the dataset with its CONTRACT and `outcomes`."""
    return importlib.import_module(f"datasets.{dataset.name}.common")


def counts(table: Table) -> pd.DataFrame:
    """One row per class: rows, share, groups."""
    grouped = table.frame.groupby("label")
    counted = pd.DataFrame(
        {"class": table.classes, "rows": grouped.size(), "groups": grouped["group"].nunique()}
    )
    counted.insert(2, "share", counted["rows"] / len(table.frame))
    return counted.rename(columns={"groups": table.group.lower()})


def facts(table: Table, settings: OfTable) -> dict[str, Any]:
    """The facts at the end of a report on a table."""
    return {
        "data": f"{table.name}, {settings.dataset.source.name}",
        "data digest": table.digest,
        "rows": len(table.frame),
        "left out": len(table.quarantined),
        "features": ", ".join(table.features),
        f"groups ({table.group})": table.frame["group"].nunique(),
    }


def reasons(table: Table) -> pd.DataFrame:
    """The reasons why rows are left out, and the number of rows of each."""
    return table.quarantined["reason"].value_counts().rename_axis("reason").reset_index(name="rows")
