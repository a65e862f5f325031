"""Which groups of rows are in train, validation and test."""

from conf.schema import TableTraining
from datasets.common.tables import Table
from train.common.data.split import split_table
from train.common.data.types import Splits
from train.common.tracking.log import Run


def split(table: Table, settings: TableTraining, run: Run) -> Splits[Table]:
    """New splits of whole groups; logged as a file."""
    splits = split_table(table, settings.split)
    run.log_splits(splits)
    return splits
