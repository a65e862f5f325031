"""Which groups of rows are in train, validation and test."""

from omegaconf import DictConfig

from datasets.common.tables import Table
from train.common.run import log_splits
from train.common.tables import split_table
from train.common.values import TableSplits


def split(table: Table, config: DictConfig) -> TableSplits:
    """New splits of whole groups; logged as a file."""
    splits = split_table(table, config.split)
    log_splits(splits)
    return splits
