r"""Metrics of a classifier on test, with bootstrap intervals over near-duplicate clusters.

Frames of one polyp are not independent, so whole clusters are drawn with replacement [1]. The
interval of a metric is the central 95 % of its values over the resamples (percentile bootstrap):

$$ \left[\hat m^*_{(\alpha/2)},\ \hat m^*_{(1-\alpha/2)}\right], \quad \alpha = 1 - 0.95 $$

1. Field, Welsh: *Bootstrapping clustered data*, JRSS B 69 (2007), and Efron: *Better bootstrap
   confidence intervals* (1987) for the percentile method.
"""

import warnings
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from sklearn import config_context
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    log_loss,
    matthews_corrcoef,
    multilabel_confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)

from conf.schema import Metrics, Probes, TableMetrics
from train.common.evaluation import resampling

PER_CLASS = ("precision", "recall", "specificity", "f1", "roc_auc", "average_precision")
"""Metrics of one class against the rest; recall is also called sensitivity."""
FEW = 10
"""The report warns of an unreliable interval if a class has fewer test images."""


def scores(
    labels: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]
) -> dict[str, float]:
    """Flat metrics of labels (N,) and probabilities (N, K); NaN for a class without images.

    Names: accuracy, mcc, log_loss, brier; `<metric>_<class>` and `<metric>_macro` for all of
    `PER_CLASS`; `<metric>_weighted` for precision, recall and f1. Specificity, ROC AUC and average
    precision are NaN for a class that all images have. The Brier score is that of one class where
    there are two.
    """
    numbers = np.arange(len(classes))
    answers = probabilities.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, answers, labels=numbers, zero_division=0
    )
    present, found = support > 0, (support > 0) & (support < len(labels))
    [negatives, _] = multilabel_confusion_matrix(labels, answers, labels=numbers).swapaxes(0, 1)
    specificity = negatives[:, 0] / np.where(found, negatives.sum(axis=1), np.nan)
    result = {
        "accuracy": accuracy_score(labels, answers),
        "mcc": matthews_corrcoef(labels, answers),
        "log_loss": log_loss(labels, probabilities, labels=numbers),
        "brier": brier_score_loss(labels, probabilities, labels=numbers),
    }
    for name, series in (("precision", precision), ("recall", recall), ("f1", f1)):
        result[f"{name}_weighted"] = np.average(series[present], weights=support[present])
    by_class = {
        "precision": np.where(present, precision, np.nan),
        "recall": np.where(present, recall, np.nan),
        "specificity": specificity,
        "f1": np.where(present, f1, np.nan),
        "roc_auc": _against_rest(roc_auc_score, labels, probabilities),
        "average_precision": _against_rest(average_precision_score, labels, probabilities),
    }
    for name, series in by_class.items():
        result[f"{name}_macro"] = _mean(series)
        result |= {f"{name}_{each}": series[k] for k, each in enumerate(classes)}
    return {name: float(value) for name, value in result.items()}


def macro_auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean ROC AUC, each class against the rest, over the classes in `labels`; NaN for none."""
    return _mean(_against_rest(roc_auc_score, labels, probabilities))


def _against_rest(
    score: Callable[[np.ndarray, np.ndarray], float], labels: np.ndarray, probabilities: np.ndarray
) -> np.ndarray:
    """`score` of each class against the rest (K,); NaN for a class that none or all have."""
    values = np.full(probabilities.shape[1], np.nan)
    for k in range(len(values)):
        if 0 < (labels == k).sum() < len(labels):
            values[k] = score(labels == k, probabilities[:, k])
    return values


def _mean(values: np.ndarray) -> float:
    """The mean of the values that are not NaN; NaN for none."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


Metric = Callable[[np.ndarray, np.ndarray], float]
"""Computes a value from labels (N,) and probabilities (N, classes)."""


def bootstrap(
    figures: Callable[[np.ndarray], Mapping[str, float]],
    groups: np.ndarray,
    settings: Metrics | TableMetrics | Probes,
    seed: int,
) -> pd.DataFrame:
    """`figures(rows)` of all rows with intervals: rows by name, columns value, low, high.

    Whole `groups` (N,) are drawn with replacement.
    """
    drawn = _called(figures, groups, settings.bootstrap, seed)
    return summarized(figures(np.arange(len(groups))), drawn, settings.confidence)


def _called(
    figures: Callable[[np.ndarray], Mapping[str, float]],
    groups: np.ndarray,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """`figures(rows)` of each resample, one row a resample."""
    checked = config_context(
        assume_finite=True, skip_parameter_validation=True
    )  # a fifth of the time
    with warnings.catch_warnings(), checked:
        warnings.simplefilter("ignore")  # scikit-learn warns of every class a resample lacks
        return pd.DataFrame([figures(rows) for rows in resampling.rows(groups, resamples, seed)])


def summarized(values: Mapping[str, float], drawn: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """`values` by name with intervals: columns value, low, high.

    `drawn` has one row a resample. The interval of a value ignores resamples that give NaN.
    """
    tail = (1 - confidence) / 2
    table = pd.DataFrame({"value": pd.Series(values)})
    table["low"], table["high"] = drawn.quantile(tail), drawn.quantile(1 - tail)
    return table


def interval(
    figure: Callable[[np.ndarray], float],
    groups: np.ndarray,
    settings: Metrics | TableMetrics | Probes,
    seed: int,
) -> tuple[float, float, float]:
    """Value, low and high of a single `figure(rows)`, by `bootstrap`."""
    table = bootstrap(lambda rows: {"figure": figure(rows)}, groups, settings, seed)
    value, low, high = table.loc["figure", ["value", "low", "high"]]
    return float(value), float(low), float(high)


def intervals(
    labels: np.ndarray,
    probabilities: np.ndarray,
    groups: np.ndarray,
    classes: tuple[str, ...],
    settings: Metrics | TableMetrics,
    seed: int,
    also: Mapping[str, Metric] | None = None,
) -> pd.DataFrame:
    """`scores` and the metrics `also`, by name, with intervals over whole `groups` (N,).

    The metrics of a class ignore resamples without that class.
    """
    values = scores(labels, probabilities, classes)
    drawn = resampling.scores(labels, probabilities, groups, classes, settings.bootstrap, seed)
    if also:

        def figures(rows: np.ndarray) -> dict[str, float]:
            given = labels[rows], probabilities[rows]
            return {name: float(metric(*given)) for name, metric in also.items()}

        values |= figures(np.arange(len(labels)))
        more = _called(figures, groups, settings.bootstrap, seed)
        drawn = drawn.drop(columns=list(also), errors="ignore").join(more)
    return summarized(values, drawn, settings.confidence)


def flat(table: pd.DataFrame, prefix: str) -> dict[str, float]:
    """Finite values of `intervals` as `<prefix>_<name>`, `..._low` and `..._high`."""
    values = {
        f"{prefix}_{name}{end}": float(value)
        for name, row in table.iterrows()
        for end, value in zip(("", "_low", "_high"), row, strict=True)
    }
    return {name: value for name, value in values.items() if np.isfinite(value)}


def normalised(given: pd.DataFrame) -> pd.DataFrame:
    """Probabilities (N, classes) of a CSV file, with sums of 1: they were rounded to float32."""
    return given.div(given.sum(axis=1), axis=0)


def cell(value: float, low: float, high: float) -> str:
    """A value with its interval as a table shows it; empty for NaN."""
    return f"{value:.3f} [{low:.3f}, {high:.3f}]" if np.isfinite(value) else ""


def per_class(table: pd.DataFrame, labels: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """The rows of `intervals` as a table to read: one row per class, then the two averages.

    The cell of an average that is not computed is empty.
    """
    support = np.bincount(labels, minlength=len(classes))
    rows = []
    for name, count in [*zip(classes, support, strict=True), ("macro", 0), ("weighted", 0)]:
        row: dict[str, object] = {"class": name, "support": int(count) or int(support.sum())}
        for metric in PER_CLASS:
            known = f"{metric}_{name}" in table.index
            row[metric] = cell(*table.loc[f"{metric}_{name}"]) if known else ""
        rows.append(row)
    return pd.DataFrame(rows)


def caveats(
    labels: np.ndarray, classes: tuple[str, ...], crossing: int, accepted: bool = False
) -> list[str]:
    """Warnings that a reader needs before quoting a figure.

    `accepted` says whether a setting accepted the `crossing` clusters.
    """
    notes = [
        f"{name} has {count} test images: its interval is unreliable."
        for name, count in zip(classes, np.bincount(labels, minlength=len(classes)), strict=True)
        if count < FEW
    ]
    if crossing:
        notes.append(
            f"{crossing} near-duplicate clusters have images in more than one split: the figures "
            "are optimistic. split.by=cluster avoids that."
            + (" They were accepted by split.allow_crossing=true." if accepted else "")
        )
    return notes
