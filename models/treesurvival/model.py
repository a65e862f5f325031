"""The pipeline of treesurvival; see the package's text for what it is and why."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from models.treesurvival.common import estimator

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


def build(
    config: Any, categories: Mapping[str, Sequence[Any]], numbers: Sequence[str], seed: int
) -> "Pipeline":
    """An unfitted pipeline from a frame of raw features to probabilities (N, classes).

    `config` is a `conf.schema.TableModel` that names one estimator. `categories` are the columns of
    words with all that may stand in them, `numbers` the numeric columns, where NaN is no value.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    scaled = Pipeline(
        [
            # Missing is an answer of its own: a species without ectomycorrhiza has no EMF.
            ("impute", SimpleImputer(strategy="median", add_indicator=True)),
            ("scale", StandardScaler()),
        ]
    )
    encoder = OneHotEncoder(
        categories=[list(values) for values in categories.values()],
        handle_unknown="error",
        sparse_output=False,
    )
    columns = ColumnTransformer(
        [("words", encoder, list(categories)), ("numbers", scaled, list(numbers))],
        verbose_feature_names_out=False,
    )
    return Pipeline([("columns", columns), ("estimator", estimator(config.estimator, seed))])
