"""What the jobs on tables share: the set and its counts."""

import importlib
from types import ModuleType
from typing import Any

import pandas as pd
from omegaconf import DictConfig

from datasets.common.tables import Table
from train.common.data.tables import gather, typed
from train.common.tracking.log import log_data


def verified(config: DictConfig) -> Table:
    """The table of `config.dataset`, whichever dataset that is; logged to the run."""
    name = config.dataset.name
    table = typed(gather(importlib.import_module(f"datasets.{name}.dataset").build, config))
    log_data(table)
    return table


def described(config: DictConfig) -> ModuleType:
    """The module of the dataset with its CONTRACT and `outcomes`."""
    return importlib.import_module(f"datasets.{config.dataset.name}.common")


def counts(table: Table) -> pd.DataFrame:
    """A row a class: rows, share, groups."""
    grouped = table.frame.groupby("label")
    counted = pd.DataFrame(
        {"class": table.classes, "rows": grouped.size(), "groups": grouped["group"].nunique()}
    )
    counted.insert(2, "share", counted["rows"] / len(table.frame))
    return counted.rename(columns={"groups": table.group.lower()})


def facts(table: Table, config: DictConfig) -> dict[str, Any]:
    """What stands at the end of a report on a table."""
    return {
        "data": f"{table.name}, {config.dataset.source.name}",
        "data digest": table.digest,
        "rows": len(table.frame),
        "left out": len(table.quarantined),
        "features": ", ".join(table.features),
        f"groups ({table.group})": table.frame["group"].nunique(),
    }


def reasons(table: Table) -> pd.DataFrame:
    """Why rows are left out, and how many."""
    return table.quarantined["reason"].value_counts().rename_axis("reason").reset_index(name="rows")
