"""The steps of the table pipeline without a run around them."""

from pathlib import Path

from conf.schema import TableTraining
from datasets.common.tables import Table
from datasets.treesurvival.dataset import build
from models.treesurvival.common import search_space
from models.treesurvival.model import build as build_model
from train.common.data.split import split_table
from train.common.data.tables import as_floats
from train.common.data.types import Splits, TrainedPipeline
from train.common.fitting.search import search


def split_sample(settings: TableTraining) -> Splits[Table]:
    """The generated table, split."""
    return split_table(as_floats(build(settings.dataset, Path(settings.env.cache))), settings.split)


def searched(splits: Splits[Table], settings: TableTraining) -> TrainedPipeline:
    """What the search of treesurvival finds on train."""
    return search(splits, settings, build_model, search_space)
