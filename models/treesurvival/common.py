"""The estimators, and where their hyper-parameters are looked for."""

from typing import TYPE_CHECKING, Any

from scipy.stats import loguniform, randint, uniform

from conf.schema import Estimator

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

TREES = 300
"""In a forest; more change probabilities by less than a percent."""


def estimator(kind: Estimator, seed: int) -> "ClassifierMixin":
    """An unfitted classifier of `kind` that runs on one core: the search uses the others.

    Raises `KeyError` for what is no estimator.
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
    """Distributions of the hyper-parameters of `kind`, by their names in the pipeline."""
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
