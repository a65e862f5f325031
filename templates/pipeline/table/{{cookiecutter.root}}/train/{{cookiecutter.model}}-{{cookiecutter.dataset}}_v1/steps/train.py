"""The search of hyper-parameters."""

from conf.schema import TableTraining
from datasets.common.tables import Table
from models.{{cookiecutter.model}}.common import search_space
from models.{{cookiecutter.model}}.model import build
from train.common.data.types import Splits, TrainedPipeline
from train.common.fitting.search import search


def fit(splits: Splits[Table], settings: TableTraining) -> TrainedPipeline:
    """The best pipeline on train, cross-validated by group."""
    return search(splits, settings, build, search_space)
