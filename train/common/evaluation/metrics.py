r"""Metrics of a classifier on test, with bootstrap intervals over near-duplicate clusters.

Frames of one polyp are not independent, so whole clusters are drawn with replacement [1]. The
interval of a metric is the central 95 % of its values over the resamples (percentile bootstrap):

$$ \left[\hat m^*_{(\alpha/2)},\ \hat m^*_{(1-\alpha/2)}\right], \quad \alpha = 1 - 0.95 $$

1. Field, Welsh: *Bootstrapping clustered data*, JRSS B 69 (2007), and Efron: *Better bootstrap
   confidence intervals* (1987) for the percentile method.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd
from rich.progress import track
from sklearn import config_context
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    log_loss,
    matthews_corrcoef,
    precision_recall_fscore_support,
    roc_auc_score,
)

from conf.schema import Metrics, Probes, TableMetrics

PER_CLASS = ("precision", "recall", "f1")
FEW = 10
"""The report warns of an unreliable interval if a class has fewer test images."""


def scores(
    labels: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]
) -> dict[str, float]:
    """Flat metrics of labels (N,) and probabilities (N, K); NaN for a class without images.

    Names: accuracy, mcc, log_loss, brier, roc_auc_macro, average_precision_macro,
    `<metric>_macro`, `<metric>_weighted` and `<metric>_<class>` for precision, recall and f1.
    The Brier score is that of one class where there are two.
    """
    numbers = np.arange(len(classes))
    answers = probabilities.argmax(axis=1)
    *values, support = precision_recall_fscore_support(
        labels, answers, labels=numbers, zero_division=0
    )
    present = support > 0
    found = [k for k in numbers if 0 < support[k] < len(labels)]
    precisions = [average_precision_score(labels == k, probabilities[:, k]) for k in found]
    result = {
        "accuracy": accuracy_score(labels, answers),
        "mcc": matthews_corrcoef(labels, answers),
        "log_loss": log_loss(labels, probabilities, labels=numbers),
        "brier": brier_score_loss(labels, probabilities, labels=numbers),
        "roc_auc_macro": macro_auc(labels, probabilities),
        "average_precision_macro": float(np.mean(precisions)) if precisions else np.nan,
    }
    for name, series in zip(PER_CLASS, values, strict=True):
        result[f"{name}_macro"] = series[present].mean()
        result[f"{name}_weighted"] = np.average(series[present], weights=support[present])
        for k, class_name in enumerate(classes):
            result[f"{name}_{class_name}"] = series[k] if present[k] else np.nan
    return {name: float(value) for name, value in result.items()}


def macro_auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean ROC AUC, each class against the rest, over the classes in `labels`; NaN for none."""
    found = [k for k in range(probabilities.shape[1]) if 0 < (labels == k).sum() < len(labels)]
    aucs = [roc_auc_score(labels == k, probabilities[:, k]) for k in found]
    return float(np.mean(aucs)) if aucs else np.nan


Metric = Callable[[np.ndarray, np.ndarray], float]
"""Computes a value from labels (N,) and probabilities (N, classes)."""


def bootstrap(
    figures: Callable[[np.ndarray], Mapping[str, float]],
    groups: np.ndarray,
    settings: Metrics | TableMetrics | Probes,
    seed: int,
    title: str = "",
) -> pd.DataFrame:
    """`figures(rows)` of all rows with intervals: rows by name, columns value, low, high.

    Whole `groups` (N,) are drawn with replacement. The interval ignores resamples that give NaN.
    """
    drawn = []
    checked = config_context(
        assume_finite=True, skip_parameter_validation=True
    )  # a fifth of the time
    with warnings.catch_warnings(), checked:
        warnings.simplefilter("ignore")  # scikit-learn warns of every class a resample lacks
        chosen = resampled(groups, settings.bootstrap, seed)
        for rows in track(chosen, title, total=settings.bootstrap, disable=not title):
            drawn.append(figures(rows))
    tail = (1 - settings.confidence) / 2
    table = pd.DataFrame({"value": figures(np.arange(len(groups)))})
    table["low"] = pd.DataFrame(drawn).quantile(tail)
    table["high"] = pd.DataFrame(drawn).quantile(1 - tail)
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


def resampled(clusters: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Row numbers of each bootstrap resample: whole clusters, drawn with replacement."""
    rng = np.random.default_rng(seed)
    members = list(pd.Series(np.arange(len(clusters))).groupby(clusters).indices.values())
    for _ in range(resamples):
        chosen = rng.integers(0, len(members), len(members))
        yield np.concatenate([members[i] for i in chosen])


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

    def figures(rows: np.ndarray) -> dict[str, float]:
        given = labels[rows], probabilities[rows]
        more = {name: float(metric(*given)) for name, metric in (also or {}).items()}
        return scores(*given, classes) | more

    return bootstrap(figures, groups, settings, seed, title="bootstrap")


def flat(table: pd.DataFrame, prefix: str) -> dict[str, float]:
    """Finite values of `intervals` as `<prefix>_<name>`, `..._low` and `..._high`."""
    values = {
        f"{prefix}_{name}{end}": float(value)
        for name, row in table.iterrows()
        for end, value in zip(("", "_low", "_high"), row, strict=True)
    }
    return {name: value for name, value in values.items() if np.isfinite(value)}


def per_class(table: pd.DataFrame, labels: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """The rows of `intervals` as a table to read: one row per class, then the two averages."""
    support = np.bincount(labels, minlength=len(classes))
    rows = []
    for name, count in [*zip(classes, support, strict=True), ("macro", 0), ("weighted", 0)]:
        row: dict[str, object] = {"class": name, "support": int(count) or int(support.sum())}
        for metric in PER_CLASS:
            value, low, high = table.loc[f"{metric}_{name}"]
            row[metric] = f"{value:.3f} [{low:.3f}, {high:.3f}]"
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
