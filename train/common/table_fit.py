"""The train step for tables: a random search of hyper-parameters, cross-validated by group."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from omegaconf import DictConfig
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, RandomizedSearchCV

from conf.errors import UserError
from conf.schema import Estimator
from train.common.tables import categories
from train.common.values import TableFitted, TableSplits

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

log = logging.getLogger(__name__)

Build = Callable[[Any, Mapping[str, Sequence[Any]], Sequence[str], int], "Pipeline"]
"""From the model's settings, the categorical and the numeric columns and a seed to a pipeline."""
Space = Callable[[Estimator], dict[str, Any]]
"""From an estimator to the distributions of its hyper-parameters."""
FIGURES = {"mean_test_score": "score", "std_test_score": "spread", "mean_fit_time": "seconds"}


def search_table(
    splits: TableSplits, config: DictConfig, build: Build, space: Space
) -> TableFitted:
    """The best of `config.fit.candidates` settings on train, fitted again on all of train.

    Imputation, scaling and encoding are part of what is fitted in each fold. Neither validation
    nor test is seen. Raises `UserError` when train has fewer groups than there are folds.
    """
    known = categories(splits.data)
    numbers = [name for name in splits.data.features if name not in known]
    groups = splits.groups(splits.train)
    if (count := len(set(groups))) < config.fit.folds or config.fit.folds < 2:
        raise UserError(
            f"fit.folds={config.fit.folds}: two or more are needed, and at most the {count} values "
            f"of {splits.data.group} in train"
        )
    search = RandomizedSearchCV(
        build(config.model, known, numbers, config.seed),
        space(config.model.estimator),
        n_iter=config.fit.candidates,
        scoring=config.fit.scoring.name,
        cv=GroupKFold(config.fit.folds, shuffle=True, random_state=config.seed),
        n_jobs=config.fit.workers,
        random_state=config.seed,
        error_score="raise",
    )
    started = time.perf_counter()
    done = clone(search).fit(
        splits.inputs(splits.train), splits.labels(splits.train), groups=groups
    )
    log.info(
        "searched %d settings of %s in %.0f s: %s %.4f with %s",
        config.fit.candidates, config.model.estimator.name, time.perf_counter() - started,
        config.fit.scoring.name, done.best_score_, done.best_params_,
    )  # fmt: skip
    return TableFitted(done.best_estimator_, search, _candidates(done.cv_results_))


def _candidates(results: Mapping[str, Any]) -> pd.DataFrame:
    table = pd.DataFrame(results["params"])
    table.columns = [name.rpartition("__")[2] for name in table.columns]
    for name, title in FIGURES.items():
        table[title] = results[name]
    return table.sort_values("score", ascending=False, ignore_index=True)
