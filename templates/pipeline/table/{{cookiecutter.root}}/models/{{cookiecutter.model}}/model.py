"""The pipeline of {{cookiecutter.model}}, which the docstring of the package describes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from models.tables import columns, estimator

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


def build(
    config: Any, categories: Mapping[str, Sequence[Any]], numbers: Sequence[str], seed: int
) -> "Pipeline":
    """An unfitted pipeline from a frame of raw features to probabilities (N, classes).

    `config` is a `conf.schema.TableModel` that names one estimator. `categories` are the columns of
    words with all that may stand in them, `numbers` the numeric columns, where NaN is no value.
    """
    from sklearn.pipeline import Pipeline

    return Pipeline(
        [
            ("columns", columns(categories, numbers)),
            ("estimator", estimator(config.estimator, seed)),
        ]
    )
