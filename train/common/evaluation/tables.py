"""The metrics step for tables: one evaluation on test, and a cross-validation of all rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.inspection import permutation_importance
from sklearn.metrics import roc_auc_score

from conf.schema import TableTraining
from datasets.common.tables import Table
from train.common.data.tables import features
from train.common.data.types import Compared, Report, Splits, TrainedPipeline
from train.common.evaluation import figures, metrics, words
from train.common.evaluation.nested import (
    PANELS,
    caption,
    chosen_among,
    compared_table,
    estimators,
    flat,
)

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


def evaluate(
    trained: TrainedPipeline,
    splits: Splits[Table],
    settings: TableTraining,
    compared: Compared | None,
    shown: Sequence[str],
    drawn: Mapping[str, figures.Plot],
    also: Mapping[str, metrics.Metric] | None = None,
) -> Report:
    """Predict test once with the chosen model, and cross-validate the searches.

    The metrics `shown` are at the top of the report. All of `metrics.scores` are logged, and the
    metrics `also`, by their names. `drawn` are the figures of test by name.
    """
    data, rows = splits.data, splits.test
    labels, probabilities = splits.labels(rows), trained.model.predict_proba(features(splits, rows))
    scored = metrics.intervals(
        labels,
        probabilities,
        splits.groups(rows),
        data.classes,
        settings.metrics,
        settings.seed,
        also,
    )
    answers = probabilities.argmax(axis=1)
    names, titles = np.array(data.classes), tuple(words.titles(settings.dataset).values())
    importance = importances(
        trained.model,
        features(splits, splits.validation),
        splits.labels(splits.validation),
        settings.metrics.permutations,
        settings.seed,
    )
    scalars = metrics.flat(scored, "test")
    tables = {
        "overall": _overall(scored, shown),
        "per_class": metrics.per_class(scored, labels, data.classes),
        "importance": importance,
        "candidates": trained.candidates,
        "predictions": pd.DataFrame(probabilities, columns=list(data.classes)).assign(
            row=data.frame["row"].to_numpy()[rows], label=names[labels], answer=names[answers]
        ),
    }
    pictures = {name: plot(labels, probabilities, titles) for name, plot in drawn.items()}
    pictures["importance"] = figures.importance(importance)
    captions = {
        "importance": "How much ROC AUC on validation falls when one feature is shuffled. "
        "Correlated features share their importance.",
        "candidates": f"Candidates of the search on train, by {settings.fit.scoring.name} "
        f"cross-validated by {data.group} in {settings.fit.folds} folds.",
    }
    run_time = f"search on train {trained.seconds:.0f} s"
    judged = words.Judged(
        labels,
        probabilities,
        scored,
        titles,
        groups=len(set(splits.groups(rows))),
        group=f"values of {data.group}",
        unit="test rows",
        confidence=settings.metrics.confidence,
    )
    if compared is not None:
        everything = np.arange(len(data.frame))
        labels, groups = splits.labels(everything), splits.groups(everything)
        held_out = compared.held_out
        run_time += f", cross-validation {sum(compared.seconds.values()):.0f} s"
        crossed = metrics.intervals(
            labels, held_out, groups, data.classes, settings.metrics, settings.seed, also
        )
        scalars |= metrics.flat(crossed, "cv")
        judged = replace(
            judged,
            labels=labels,
            probabilities=held_out,
            metrics=crossed,
            groups=len(set(groups)),
            unit="rows",
            who=f"Cross-validated by {data.group} in {settings.metrics.folds} folds, the recipe is",
        )
        tables["cross_validation"] = _overall(crossed, shown)
        tables[f"by_{data.group.lower()}"] = by_group(labels, held_out, groups, data.classes)
        pictures["cross_validation"] = figures.calibration(labels, held_out, titles)
        captions["cross_validation"] = (
            f"All {len(labels)} rows. The model that predicts a row was trained without its "
            f"{data.group}: {settings.metrics.folds} folds, each with its own search."
        )
        if len(trained.searches) > 1:
            figured = estimators(compared, splits, settings)
            scalars |= flat(figured)
            tables["estimators"] = compared_table(figured, compared, trained)
            pictures["estimators"] = figures.estimators(figured, PANELS)
            captions["estimators"] = caption(trained, settings, data.group)
    return Report(
        scalars=scalars,
        tables=tables,
        figures=pictures,
        captions=captions,
        notes=[
            *words.drawn(settings.dataset),
            *words.few_groups(judged.groups, judged.group),
            *notes(splits, settings),
        ],
        summary=words.summary(judged),
        first=("importance", words.HANGS_ON),
        facts={
            "data": f"{data.name}, {settings.dataset.source.name}",
            "data digest": data.digest[:16],
            "rows": ", ".join(f"{len(part)} {name}" for name, part in splits.parts.items()),
            f"{data.group} (split by)": ", ".join(
                f"{len(set(splits.groups(part)))} {name}" for name, part in splits.parts.items()
            ),
            "outcome unknown": len(data.quarantined),
            "features": ", ".join(data.features),
            "estimator": chosen_among(trained, settings),
            "run time": run_time,
            "intervals": f"{settings.metrics.confidence:.0%}, {settings.metrics.bootstrap} "
            f"bootstrap resamples of whole {data.group}",
        },
    )


def importances(
    model: "Pipeline", inputs: pd.DataFrame, labels: np.ndarray, repeats: int, seed: int
) -> pd.DataFrame:
    """Loss of ROC AUC, mean and spread over shuffles: one row per feature, largest first."""
    found = permutation_importance(
        model,
        inputs,
        labels,
        scoring="roc_auc" if len(model.classes_) == 2 else "roc_auc_ovr",
        n_repeats=repeats,
        random_state=seed,
    )
    worth = {"importance": found.importances_mean, "spread": found.importances_std}
    table = pd.DataFrame({"feature": inputs.columns, **worth})
    return table.sort_values("importance", ascending=False, ignore_index=True)


def by_group(
    labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, classes: tuple[str, ...]
) -> pd.DataFrame:
    """One row per group: rows, share and mean probability of the last class, its ROC AUC."""
    table = []
    for group in np.unique(groups):
        of = groups == group
        actual, given = labels[of] == len(classes) - 1, probabilities[of, -1]
        auc = roc_auc_score(actual, given) if 0 < actual.sum() < len(actual) else np.nan
        table.append((group, of.sum(), actual.mean(), given.mean(), auc))
    columns = ["group", "rows", f"share {classes[-1]}", "mean probability", "roc_auc"]
    return pd.DataFrame(table, columns=columns)


def notes(splits: Splits[Table], settings: TableTraining) -> list[str]:
    """Warnings that a reader needs before quoting a figure."""
    data, count = splits.data, len(set(splits.groups(splits.test)))
    said = []
    if settings.metrics.folds and count < words.FEW_GROUPS:
        said.append(
            f"Test has only {count} values of {data.group}, too few to predict how the model does "
            "on others. Quote the cross-validation over all rows."
        )
    if len(data.quarantined):
        said.append(
            f"{len(data.quarantined)} rows whose outcome is not known are left out of every "
            "figure: the probabilities hold for the other rows."
        )
    return said


def _overall(scored: pd.DataFrame, shown: Sequence[str]) -> pd.DataFrame:
    return scored.loc[list(shown)].rename_axis("metric").reset_index()
