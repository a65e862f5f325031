"""Code that models of tables share: columns, estimators, search spaces, trusted types."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from conf.schema import Estimator

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin
    from sklearn.compose import ColumnTransformer

TRUSTED = (
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
"""Types of a stored pipeline that skops may build; none of them runs foreign code.

A service has its own list (`deploy/serving/tables/classifier.py`), and does not use that of a
model."""
TREES = 300
"""Trees of a forest; more trees change probabilities by less than a percent."""


def columns(categories: Mapping[str, Sequence[Any]], numbers: Sequence[str]) -> "ColumnTransformer":
    """An unfitted transformer: `categories` one-hot, `numbers` imputed by the median and scaled.

    An indicator column marks missing numbers (NaN). A category that is not listed is an error.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    scaled = Pipeline(
        [
            ("impute", SimpleImputer(strategy="median", add_indicator=True)),
            ("scale", StandardScaler()),
        ]
    )
    encoder = OneHotEncoder(
        categories=[list(values) for values in categories.values()],
        handle_unknown="error",
        sparse_output=False,
    )
    return ColumnTransformer(
        [("words", encoder, list(categories)), ("numbers", scaled, list(numbers))],
        verbose_feature_names_out=False,
    )


def estimator(kind: Estimator, seed: int) -> "ClassifierMixin":
    """An unfitted classifier of `kind`. It runs on one core, because the search uses the others.

    Raises `KeyError` for an unknown estimator.
    """
    from sklearn.ensemble import (
        ExtraTreesClassifier,
        HistGradientBoostingClassifier,
        RandomForestClassifier,
    )
    from sklearn.linear_model import LogisticRegression

    known: dict[Estimator, ClassifierMixin] = {
        Estimator.logistic_regression: LogisticRegression(max_iter=2000),
        Estimator.random_forest: RandomForestClassifier(TREES, random_state=seed),
        Estimator.extra_trees: ExtraTreesClassifier(TREES, random_state=seed),
        Estimator.gradient_boosting: HistGradientBoostingClassifier(
            early_stopping=False, random_state=seed
        ),
    }
    return known[kind]


def search_space(kind: Estimator) -> dict[str, Any]:
    """Distributions of the hyper-parameters of `kind`, by their names in a pipeline.

    The name of the classifier in the pipeline is `estimator`.
    """
    from scipy.stats import loguniform, randint, uniform

    forest = {"min_samples_leaf": randint(2, 25), "max_features": uniform(0.2, 0.8)}
    spaces: dict[Estimator, dict[str, Any]] = {
        Estimator.logistic_regression: {"C": loguniform(1e-2, 1e2)},
        Estimator.random_forest: forest,
        Estimator.extra_trees: forest,
        Estimator.gradient_boosting: {
            "learning_rate": loguniform(0.02, 0.2),
            "max_iter": randint(50, 200),
            "max_leaf_nodes": randint(3, 16),
            "min_samples_leaf": randint(10, 60),
            "l2_regularization": loguniform(1e-2, 1e2),
        },
    }
    return {f"estimator__{name}": values for name, values in spaces[kind].items()}
