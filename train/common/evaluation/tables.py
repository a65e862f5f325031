"""The metrics step for tables: the one look at test, and out-of-fold figures over all rows."""

from dataclasses import replace

import numpy as np
import pandas as pd
from omegaconf import DictConfig
from sklearn.inspection import permutation_importance
from sklearn.metrics import roc_auc_score

from train.common.data.types import Report, TableFitted, TableSplits
from train.common.evaluation import figures, metrics, words
from train.common.evaluation.nested import (
    OVERALL,
    PANELS,
    caption,
    chosen_among,
    cross_validated,
    estimators,
    flat,
    intervals,
    shown,
)


def evaluate_table(fitted: TableFitted, splits: TableSplits, config: DictConfig) -> Report:
    """Predict test once with the chosen model; cross-validate the searches beside it."""
    data, rows = splits.data, splits.test
    labels, probabilities = splits.labels(rows), fitted.model.predict_proba(splits.inputs(rows))
    scored = intervals(labels, probabilities, splits.groups(rows), data.classes, config)
    answers = probabilities.argmax(axis=1)
    names, titles = np.array(data.classes), tuple(words.titles(config.dataset).values())
    importance = importances(fitted, splits, config)
    scalars = metrics.flat(scored, "test")
    tables = {
        "overall": _overall(scored),
        "per_class": metrics.per_class(scored, labels, data.classes),
        "importance": importance,
        "candidates": fitted.candidates,
        "predictions": pd.DataFrame(probabilities, columns=list(data.classes)).assign(
            row=data.frame["row"].to_numpy()[rows], label=names[labels], answer=names[answers]
        ),
    }
    drawn = {
        "roc": figures.roc(labels, probabilities, titles),
        "precision_and_recall": figures.precision_recall(labels, probabilities, titles),
        "reliability": figures.calibration(labels, probabilities, titles),
        "confusion_matrix": figures.confusion(labels, answers, titles),
        "importance": figures.importance(importance),
    }
    captions = {
        "importance": "How much ROC AUC on validation falls when one feature is shuffled. Features "
        "that say the same share what they are worth.",
        "candidates": f"Settings that were tried on train, by {config.fit.scoring.name} "
        f"cross-validated by {data.group} in {config.fit.folds} folds.",
    }
    run_time = f"search on train {fitted.seconds:.0f} s"
    judged = words.Judged(
        labels,
        probabilities,
        scored,
        titles,
        groups=len(set(splits.groups(rows))),
        group=f"values of {data.group}",
        unit="test rows",
        confidence=config.metrics.confidence,
    )
    if config.metrics.folds:
        everything = np.arange(len(data.frame))
        labels, groups = splits.labels(everything), splits.groups(everything)
        compared = cross_validated(fitted, splits, config.metrics.folds, config.seed)
        held_out = compared.held_out
        run_time += f", cross-validation {sum(compared.seconds.values()):.0f} s"
        crossed = intervals(labels, held_out, groups, data.classes, config)
        scalars |= metrics.flat(crossed, "cv")
        judged = replace(
            judged,
            labels=labels,
            probabilities=held_out,
            metrics=crossed,
            groups=len(set(groups)),
            unit="rows",
            who=f"Cross-validated by {data.group} in {config.metrics.folds} folds, the recipe is",
        )
        tables["cross_validation"] = _overall(crossed)
        tables[f"by_{data.group.lower()}"] = by_group(labels, held_out, groups, data.classes)
        drawn["cross_validation"] = figures.calibration(labels, held_out, titles)
        captions["cross_validation"] = (
            f"All {len(labels)} rows, each predicted by a model that saw nothing of its "
            f"{data.group}: {config.metrics.folds} folds, each with a search of its own."
        )
        if len(fitted.searches) > 1:
            figured = estimators(compared, splits, config)
            scalars |= flat(figured)
            tables["estimators"] = shown(figured, compared, fitted)
            drawn["estimators"] = figures.estimators(figured, PANELS)
            captions["estimators"] = caption(fitted, config, data.group)
    return Report(
        scalars=scalars,
        tables=tables,
        figures=drawn,
        captions=captions,
        notes=[
            *words.drawn(config),
            *words.few_groups(judged.groups, judged.group),
            *notes(splits, config),
        ],
        summary=words.summary(judged),
        first=("importance", words.HANGS_ON),
        facts={
            "data": f"{data.name}, {config.dataset.source.name}",
            "data digest": data.digest[:16],
            "rows": f"{len(splits.train)} train, {len(splits.validation)} validation, "
            f"{len(rows)} test",
            f"{data.group} (split by)": ", ".join(
                f"{len(set(splits.groups(part)))} {name}"
                for name, part in (
                    ("train", splits.train),
                    ("validation", splits.validation),
                    ("test", splits.test),
                )
            ),
            "outcome unknown": len(data.quarantined),
            "features": ", ".join(data.features),
            "estimator": chosen_among(fitted, config),
            "run time": run_time,
            "intervals": f"{config.metrics.confidence:.0%}, {config.metrics.bootstrap} bootstrap "
            f"resamples of whole {data.group}",
        },
    )


def importances(fitted: TableFitted, splits: TableSplits, config: DictConfig) -> pd.DataFrame:
    """Loss of ROC AUC on validation, mean and spread over shuffles: a row a feature, best first."""
    found = permutation_importance(
        fitted.model,
        splits.inputs(splits.validation),
        splits.labels(splits.validation),
        scoring="roc_auc" if len(splits.data.classes) == 2 else "roc_auc_ovr",
        n_repeats=config.metrics.permutations,
        random_state=config.seed,
    )
    table = pd.DataFrame(
        {
            "feature": splits.data.features,
            "importance": found.importances_mean,
            "spread": found.importances_std,
        }
    )
    return table.sort_values("importance", ascending=False, ignore_index=True)


def by_group(
    labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, classes: tuple[str, ...]
) -> pd.DataFrame:
    """A row a group: rows, share of the last class, its mean probability, ROC AUC (two classes)."""
    table = []
    for group in np.unique(groups):
        of = groups == group
        actual, given = labels[of] == len(classes) - 1, probabilities[of, -1]
        auc = roc_auc_score(actual, given) if 0 < actual.sum() < len(actual) else np.nan
        table.append((group, of.sum(), actual.mean(), given.mean(), auc))
    columns = ["group", "rows", f"share {classes[-1]}", "mean probability", "roc_auc"]
    return pd.DataFrame(table, columns=columns)


def notes(splits: TableSplits, config: DictConfig) -> list[str]:
    """Sentences a reader must know before quoting a figure."""
    data, count = splits.data, len(set(splits.groups(splits.test)))
    said = []
    if config.metrics.folds and count < words.FEW_GROUPS:
        said.append(
            f"Test has {count} values of {data.group}: so few say little about another one. The "
            "cross-validation over all rows is the figure to quote."
        )
    if len(data.quarantined):
        said.append(
            f"{len(data.quarantined)} rows whose outcome is not known are left out of every "
            "figure: probabilities are those of the rows that are kept."
        )
    return said


def _overall(scored: pd.DataFrame) -> pd.DataFrame:
    return scored.loc[OVERALL].rename_axis("metric").reset_index()
