"""Get the table and verify its contract before the training starts."""

from pathlib import Path

from conf.schema import TableTraining
from datasets.common.tables import Table
from datasets.treesurvival.dataset import build
from train.common.tracking.log import Run


def ingest(settings: TableTraining, run: Run) -> Table:
    """The verified rows of treesurvival, from the configured source."""
    table = build(settings.dataset, Path(settings.env.cache))
    run.log_data(table)
    return table
