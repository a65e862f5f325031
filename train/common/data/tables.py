"""Step bodies for tables before training: read, type, split by group."""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from datasets.common.tables import Table
from train.common.data.draw import draw
from train.common.data.types import TableSplits

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

    def few(label: int, found: int, needed: int, name: str, share: float) -> str:
        return (
            f"class {table.classes[label]} has rows in {found} values of {table.group} and "
            f"{needed} are needed for split.{name}={share}: add some, or raise split.{name}"
        )

    labels, groups = table.frame["label"].to_numpy(), table.frame["group"].to_numpy()
    names = draw(labels, groups, config.validation, config.test, config.seed, few)
    parts = {name: np.flatnonzero(names == name) for name in ("train", "validation", "test")}
    sizes = {name: len(rows) for name, rows in parts.items()}
    log.info("split by %s: %s", table.group, sizes)
    who = [f"{name} {row}" for name, rows in parts.items() for row in table.frame["row"].iloc[rows]]
    digest = hashlib.sha256("\n".join([table.digest, *sorted(who)]).encode()).hexdigest()
    return TableSplits(table, parts["train"], parts["validation"], parts["test"], digest)
