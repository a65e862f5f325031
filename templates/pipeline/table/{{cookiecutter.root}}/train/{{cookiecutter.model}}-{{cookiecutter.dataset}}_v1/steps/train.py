"""The search of hyper-parameters."""

from omegaconf import DictConfig

from models.{{cookiecutter.model}}.common import search_space
from models.{{cookiecutter.model}}.model import build
from train.common.fitting.search import search_table
from train.common.data.types import TableFitted, TableSplits


def fit(splits: TableSplits, config: DictConfig) -> TableFitted:
    """The best pipeline on train, cross-validated by group."""
    return search_table(splits, config, build, search_space)
