"""The search of hyper-parameters."""

from omegaconf import DictConfig

from models.treesurvival.common import search_space
from models.treesurvival.model import build
from train.common.data.types import TableFitted, TableSplits
from train.common.fitting.search import search_table


def fit(splits: TableSplits, config: DictConfig) -> TableFitted:
    """The best pipeline on train, cross-validated by plot."""
    return search_table(splits, config, build, search_space)
