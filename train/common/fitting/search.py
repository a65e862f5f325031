"""The train step for tables: a random search of hyper-parameters, cross-validated by group.

With `model.estimator=null` every estimator has its own search, and the scores of the searches
choose one of them. Validation and test are not used.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.progress import track
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, RandomizedSearchCV

from conf.errors import UserError
from conf.schema import Estimator, TableModel, TableTraining
from datasets.common.tables import Table
from train.common.data.tables import features
from train.common.data.types import Compared, Splits, TrainedPipeline

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

log = logging.getLogger(__name__)

Build = Callable[[TableModel, Mapping[str, Sequence[Any]], Sequence[str], int], "Pipeline"]
"""Builds a pipeline from the model's settings, categorical and numeric columns and a seed."""
Space = Callable[[Estimator], dict[str, Any]]
"""Gives the distributions of an estimator's hyper-parameters."""
FIGURES = {"mean_test_score": "score", "std_test_score": "spread", "mean_fit_time": "seconds"}


def search(
    splits: Splits[Table], settings: TableTraining, build: Build, space: Space
) -> TrainedPipeline:
    """The best of `settings.fit.candidates` settings on train, fitted again on all of train.

    The estimator is `settings.model.estimator`; if that is null, the one whose search scores best.
    Imputation, scaling and encoding are fitted in each fold too. Validation and test are not used.
    Raises `UserError` when train has fewer groups than there are folds.
    """
    groups = splits.groups(splits.train)
    if (count := len(set(groups))) < settings.fit.folds or settings.fit.folds < 2:
        raise UserError(
            f"fit.folds={settings.fit.folds}: set two or more, and at most the {count} values of "
            f"{splits.data.group} in train"
        )
    one: Estimator | None = settings.model.estimator
    kinds = [one] if one else list(Estimator)
    searches = {kind: _search(kind, splits, settings, build, space) for kind in kinds}
    inputs, labels = features(splits, splits.train), splits.labels(splits.train)
    started = time.perf_counter()
    done = {
        kind: fitted(kind, each, inputs, labels, groups)
        for kind, each in track(searches.items(), "search on train", total=len(searches))
    }
    best = chosen(done)
    log.info("chosen estimator: %s, of %s", best.name, ", ".join(kind.name for kind in done))
    candidates = pd.concat([_candidates(kind, each.cv_results_) for kind, each in done.items()])
    return TrainedPipeline(
        done[best].best_estimator_,
        best,
        searches,
        {kind: float(each.best_score_) for kind, each in done.items()},
        time.perf_counter() - started,
        candidates.sort_values("score", ascending=False, ignore_index=True),
    )


def cross_validated(
    given: TrainedPipeline, splits: Splits[Table], folds: int, seed: int
) -> Compared:
    """Fit the searches of `given` again in each of `folds` outer folds by group."""
    everything = np.arange(len(splits.data.frame))
    frame, labels = features(splits, everything), splits.labels(everything)
    groups = splits.groups(everything)
    held_out = np.empty((len(labels), len(splits.data.classes)))
    answers = {kind: np.empty_like(held_out) for kind in given.searches}
    seconds = dict.fromkeys(given.searches, 0.0)
    choices = []
    parts = GroupKFold(folds, shuffle=True, random_state=seed).split(frame, labels, groups)
    jobs = ((rows, list(given.searches.items())) for rows in parts)
    for (seen, unseen), searches in track(jobs, "cross-validation", total=folds):
        done = {}
        for kind, search in searches:
            started = time.perf_counter()
            done[kind] = fitted(kind, search, frame.iloc[seen], labels[seen], groups[seen])
            seconds[kind] += time.perf_counter() - started
            answers[kind][unseen] = done[kind].predict_proba(frame.iloc[unseen])
        choices.append(chosen(done))
        held_out[unseen] = answers[choices[-1]][unseen]
    return Compared(answers, choices, held_out, seconds)


def chosen(done: Mapping[Estimator, RandomizedSearchCV]) -> Estimator:
    """The estimator whose fitted search scored best."""
    return max(done, key=lambda kind: done[kind].best_score_)


def fitted(
    kind: Estimator,
    search: RandomizedSearchCV,
    inputs: pd.DataFrame,
    labels: np.ndarray,
    groups: np.ndarray,
) -> RandomizedSearchCV:
    """A copy of `search`, fitted on `inputs` (N, features) and `labels` (N,) by `groups` (N,)."""
    started = time.perf_counter()
    done = clone(search).fit(inputs, labels, groups=groups)
    log.info(
        "searched %d settings of %s in %.0f s: %s %.4f with %s",
        search.n_iter, kind.name, time.perf_counter() - started, search.scoring, done.best_score_,
        done.best_params_,
    )  # fmt: skip
    return done


def _search(
    kind: Estimator, splits: Splits[Table], settings: TableTraining, build: Build, space: Space
) -> RandomizedSearchCV:
    known = splits.data.categories
    numbers = [name for name in splits.data.features if name not in known]
    return RandomizedSearchCV(
        build(replace(settings.model, estimator=kind), known, numbers, settings.seed),
        space(kind),
        n_iter=settings.fit.candidates,
        scoring=settings.fit.scoring.name,
        cv=GroupKFold(settings.fit.folds, shuffle=True, random_state=settings.seed),
        n_jobs=settings.fit.workers,
        random_state=settings.seed,
        error_score="raise",
    )


def _candidates(kind: Estimator, results: Mapping[str, Any]) -> pd.DataFrame:
    settings = [
        ", ".join(
            f"{name.rpartition('__')[2]}={value if isinstance(value, str) else f'{value:.4g}'}"
            for name, value in each.items()
        )
        for each in results["params"]
    ]
    figures = {title: results[name] for name, title in FIGURES.items()}
    return pd.DataFrame({"estimator": kind.name, "settings": settings, **figures})
