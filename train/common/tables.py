"""Step bodies for tables before training: read, type, split by group."""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig
from sklearn.model_selection import StratifiedGroupKFold

from conf.errors import UserError
from datasets.common.tables import Table
from train.common.values import TableSplits

log = logging.getLogger(__name__)

Build = Callable[[DictConfig, Path], Table]


def gather(build: Build, config: DictConfig) -> Table:
    """The table that a dataset's `build` verified."""
    return build(config.dataset, Path(config.env.cache))


def typed(table: Table) -> Table:
    """`table` with its numbers as float64 and its categories as they are. Fits nothing."""
    numbers = {name: np.float64 for name in table.features if name not in categories(table)}
    return replace(table, frame=table.frame.astype(numbers))


def categories(table: Table) -> dict[str, list[str | int]]:
    """The features with a fixed choice of values, and these."""
    properties = table.schema["properties"]
    return {name: each["enum"] for name, each in properties.items() if "enum" in each}


def split_table(table: Table, config: DictConfig) -> TableSplits:
    """Train, validation and test of whole groups, stratified by class as far as groups allow.

    `config` is a `conf.schema.TableSplit`. Raises `UserError` for shares that leave nothing, and
    when there are too few groups of a class.
    """
    if not 0 < config.validation + config.test < 1 or min(config.validation, config.test) <= 0:
        raise UserError(
            f"split.validation={config.validation} and split.test={config.test} must be positive "
            "and leave something to train on"
        )
    labels, groups = table.frame["label"].to_numpy(), table.frame["group"].to_numpy()
    rest, parts, left = np.arange(len(labels)), {}, 1.0
    for name in ("test", "validation"):
        share = getattr(config, name)
        folds = max(2, round(left / share))
        counts = pd.Series(groups[rest]).groupby(labels[rest]).nunique()
        if counts.min() < folds:
            raise UserError(
                f"class {table.classes[int(counts.idxmin())]} has rows in {counts.min()} values of "
                f"{table.group} and {folds} are needed for split.{name}={share}: add some, or "
                f"raise split.{name}"
            )
        folder = StratifiedGroupKFold(folds, shuffle=True, random_state=config.seed)
        _, chosen = next(folder.split(rest, labels[rest], groups[rest]))
        parts[name], rest, left = rest[chosen], np.delete(rest, chosen), left - share
    parts["train"] = rest
    sizes = {name: len(rows) for name, rows in parts.items()}
    log.info("split by %s: %s", table.group, sizes)
    who = [f"{name} {row}" for name, rows in parts.items() for row in table.frame["row"].iloc[rows]]
    digest = hashlib.sha256("\n".join([table.digest, *sorted(who)]).encode()).hexdigest()
    return TableSplits(table, parts["train"], parts["validation"], parts["test"], digest)
