"""Cross-validation: one run for each fold, and one run that pools their predictions.

    python -m train +pipeline=train_<name> split.by=cluster split.folds=5

```mermaid
flowchart LR
    fold0["run, split.fold=0"] & fold1["run, split.fold=1"] & more["..."] --> join["run, all folds"]
```

Finished folds are not trained again, so a killed command continues when it is repeated. Folds may
also be trained before, on any machine (`split.fold=2`, or Hydra's
`--multirun 'split.fold=range(5)'`). MLflow finds the runs of one cross-validation by their settings
and the digest of the data: after a corrected label all folds are trained again. The models of folds
evaluate the recipe, and are not registered; with `publish.ensemble` the mean of their logits is.
"""

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from conf.errors import UserError
from conf.schema import ImageTraining
from train.common.data.build import build_images
from train.common.data.types import Predictions, Report, TrainedModel
from train.common.evaluation import abstention, metrics, sources, words
from train.common.export.ensemble import check, export_ensemble
from train.common.gate import OFF, Checked, pooled, with_gate
from train.common.tracking.connection import connect
from train.common.tracking.load import FoldRun, fetch_table, finished_folds, keras_uri
from train.common.tracking.log import tracked_run

log = logging.getLogger(__name__)

Judge = Callable[[Predictions, ImageTraining], Report]
"""Makes the report that a pipeline publishes of predictions."""


@dataclass(frozen=True)
class CrossValidation:
    """The result of all folds."""

    report: Report
    """Report on the pooled predictions: each image is predicted by the fold where it was test."""
    runs: dict[int, FoldRun]
    """The run of each fold."""


def cross_validate(
    train_once: Callable[[ImageTraining], TrainedModel], judge: Judge, settings: ImageTraining
) -> CrossValidation:
    """Train every unfinished fold in its own run, and pool the predictions of all folds.

    Raises `UserError` when a fold was trained twice (before the next fold is trained), and when the
    data changed during the training (before the report is made).
    """
    import keras

    check(settings)
    connect(settings)
    folds, dataset, cache = settings.split.folds or 0, settings.dataset, Path(settings.env.cache)
    digest = functools.cache(lambda: build_images(dataset, cache).digest)
    for number in range(folds):
        if done := finished_folds(settings, digest).get(number):
            log.info("fold %d of %d is finished: run %s", number, folds, done.run_id)
            if settings.publish.ensemble:
                keras_uri(done.run_id, f"fold {number}, trained without publish.ensemble")
        else:
            train_once(replace(settings, split=replace(settings.split, fold=number)))
            keras.utils.clear_session()
    runs = finished_folds(settings, lambda: build_images(dataset, cache).digest)
    if missing := sorted(set(range(folds)) - set(runs)):
        raise UserError(
            f"the data changed while folds were trained: fold {missing[0]} of the present data is "
            "missing; repeat the command, which trains the missing folds"
        )
    with tracked_run(settings) as run:
        report = run.step(pool, runs, judge, settings)
        checked = gates(runs)
        run.log_gate(checked.tag, checked.table)
        report = with_gate(report, checked)
        run.log_folds(runs)
        run.log_report(report)
        if settings.publish.ensemble:
            run.step(export_ensemble, runs, report, settings)
    return CrossValidation(report, runs)


def pool(runs: dict[int, FoldRun], judge: Judge, settings: ImageTraining) -> Report:
    """The report on all `runs` together, from the tables that they logged."""
    report = join(
        {number: fetch_table(run, "tables/predictions.csv") for number, run in runs.items()},
        {number: fetch_table(run, "data/splits.csv") for number, run in runs.items()},
        judge,
        settings,
    )
    if len({run.tags["git_revision"] for run in runs.values()}) > 1:
        report.notes.append(
            f"The folds come from several revisions: {_named(runs, 'git_revision')}."
        )
    if seen := sum(int(run.tags.get("started_from_seen_test", 0)) for run in runs.values()):
        report.notes.append(
            f"The folds started from {runs[0].tags['started_from']}, which used {seen} of these "
            "test images for training or validation: the figures are optimistic."
        )
    report.facts["data digest"] = runs[0].tags["data_digest"][:16]
    report.facts["runs"] = ", ".join(f"fold {k}: {run.run_id}" for k, run in sorted(runs.items()))
    return report


def gates(runs: dict[int, FoldRun]) -> Checked:
    """The leak gates of all folds; a fold that an earlier version trained had none."""
    tags = {number: run.tags.get("gate", OFF) for number, run in runs.items()}
    tables = {
        number: fetch_table(runs[number], "tables/gate.csv")
        for number, tag in tags.items()
        if tag != OFF
    }
    return pooled(tags.values(), tables)


def _named(runs: dict[int, FoldRun], tag: str) -> str:
    return ", ".join(f"fold {k} {run.tags[tag][:12]}" for k, run in sorted(runs.items()))


def join(
    predictions: dict[int, pd.DataFrame],
    splits: dict[int, pd.DataFrame],
    judge: Judge,
    settings: ImageTraining,
) -> Report:
    """The report on all folds together, from the tables that the run of each fold logged.

    Metrics and intervals are those of the pooled predictions. The mean and standard deviation over
    the folds are reported too; they are not an interval, because folds share training images [1].

    1. Bengio, Grandvalet: *No Unbiased Estimator of the Variance of K-Fold Cross-Validation*,
       JMLR 5 (2004).
    """
    classes = tuple(settings.dataset.classes)
    parts, known = [], ["file", "label", "cluster", "group"]
    if all("source" in table for table in splits.values()):
        known.append("source")
    if any(set(known) - set(table.columns) for table in splits.values()):
        raise UserError(
            "the splits of the folds lack columns of this version: an earlier version trained "
            "them; delete their runs, and train them again"
        )
    for number, answers in sorted(predictions.items()):
        tested = splits[number].query("split == 'test'")[known]
        judged = [name for name in abstention.COLUMNS if name in answers]
        answers = answers[["file", *classes, *judged]].assign(fold=number)
        parts.append(tested.merge(answers, on="file", validate="one_to_one"))
    table = pd.concat(parts, ignore_index=True)
    table[list(classes)] = metrics.normalised(table[list(classes)])
    if table["file"].duplicated().any() or len(table) != len(splits[0]):
        raise UserError(
            f"the folds have {len(table)} predictions for {len(splits[0])} images, not one for "
            "each: different versions made the splits; delete their runs, and train them again"
        )
    unlike = table["unlikeness"].to_numpy() if "unlikeness" in table else None
    pooled = Predictions(table, table[list(classes)].to_numpy(), classes, unlike)
    report = judge(pooled, settings)
    if (verdicts := abstention.recorded(table)) is not None:
        report = abstention.with_abstention(report, pooled, verdicts, settings)
    shown = report.tables["overall"]["metric"].tolist()
    by_fold = _by_fold(table, classes, shown)
    scalars = report.scalars.copy()
    for name in by_fold.columns.intersection(shown):
        scalars |= {
            f"test_{name}_fold_mean": by_fold[name].mean(),
            f"test_{name}_fold_std": by_fold[name].std(),
        }
    summary = by_fold.agg(["mean", "std"])
    predicted = report.tables["predictions"].assign(fold=table["fold"])
    labels, titles = table["label"].to_numpy(), tuple(words.titles(settings.dataset).values())
    return replace(
        report,
        scalars=scalars,
        tables=report.tables
        | {
            "folds": pd.concat([by_fold, summary]).rename_axis("fold").reset_index(),
            "predictions": predicted,
        },
        notes=[
            *report.notes,
            *metrics.caveats(labels, titles, _crossing(splits)),
            f"{len(splits)} models predicted, each the images that it was not trained on: the "
            "figures are those of the recipe, not of one model.",
            *sources.left_out(settings.split),
        ],
        facts={
            "data": f"{settings.dataset.name}, {settings.dataset.source.name}",
            "images": f"{len(table)}, each in test once in {len(splits)} folds",
            "split by": settings.split.by.name,
            "backbone weights": settings.model.weights,
            **report.facts,
        },
        captions={
            **report.captions,
            "folds": "The mean and standard deviation over the folds are not an interval, because "
            "folds share training images.",
        },
    )


def _by_fold(table: pd.DataFrame, classes: tuple[str, ...], shown: list[str]) -> pd.DataFrame:
    """One row per fold: the metrics at the top of the report, then the recall of each class."""
    rows = {}
    names = [*shown, *(f"recall_{name}" for name in classes)]
    for number, part in table.groupby("fold"):
        labels, probabilities = part["label"].to_numpy(), part[list(classes)].to_numpy()
        values = metrics.scores(labels, probabilities, classes)
        rows[number] = {k: values[k] for k in names if k in values}
    return pd.DataFrame.from_dict(rows, orient="index")


def _crossing(splits: dict[int, pd.DataFrame]) -> int:
    """Clusters with images in more than one split of any fold."""
    crossing: set[int] = set()
    for table in splits.values():
        parts = table.groupby("cluster")["split"].nunique()
        crossing |= set(parts.index[parts > 1])
    return len(crossing)
