"""Which groups of rows are in train, validation and test."""

from omegaconf import DictConfig

from datasets.common.tables import Table
from train.common.tracking.log import log_splits
from train.common.data.tables import split_table
from train.common.data.types import TableSplits


def split(table: Table, config: DictConfig) -> TableSplits:
    """New splits of whole groups; logged as a file."""
    splits = split_table(table, config.split)
    log_splits(splits)
    return splits
