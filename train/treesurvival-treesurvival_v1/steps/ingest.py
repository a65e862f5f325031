"""Get the table and verify the contract before anything trains."""

from omegaconf import DictConfig

from datasets.common.tables import Table
from datasets.treesurvival.dataset import build
from train.common.data.tables import gather
from train.common.tracking.log import log_data


def ingest(config: DictConfig) -> Table:
    """The verified rows of treesurvival, from the configured source."""
    table = gather(build, config)
    log_data(table)
    return table
