"""Metrics of groups of images: a series or a patient is what a diagnosis is about."""

import numpy as np
import pandas as pd

from conf.schema import Metrics
from datasets.common.contract import NO_GROUP
from train.common.data.types import Predictions
from train.common.evaluation import metrics, words

SHOWN = ("accuracy", "mcc", "f1_macro", "roc_auc_macro")
"""The metrics of groups, as names of `metrics.scores`."""


def grouped(predictions: Predictions, settings: Metrics, seed: int) -> words.Grouped | None:
    """Metrics of the mean probabilities of each group of `predictions`; None without groups.

    A group counts if all its images have one class. Groups that share near-duplicates are drawn
    together, as whole clusters.
    """
    frame, classes = predictions.frame, predictions.classes
    table = pd.DataFrame(predictions.probabilities.astype(np.float64)).assign(
        **{name: frame[name].to_numpy() for name in ("group", "label", "cluster")}
    )
    named = table[table["group"] != NO_GROUP]
    if named.empty:
        return None
    groups = named.groupby("group")
    pure = groups["label"].nunique() == 1
    means = groups.mean()[pure]  # one row a group; all its labels are equal, and all its clusters
    labels, clusters = (means[name].to_numpy(dtype=np.int64) for name in ("label", "cluster"))
    probabilities = means[list(range(len(classes)))].to_numpy()
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)  # float32, rounded
    scored = pd.DataFrame()
    if len(means):
        scored = metrics.intervals(labels, probabilities, clusters, classes, settings, seed)
        scored = scored.loc[list(SHOWN)]
    return words.Grouped(
        metrics=scored,
        right=int((probabilities.argmax(axis=1) == labels).sum()),
        count=len(means),
        independent=len(np.unique(clusters)),
        classes=len(classes),
        mixed=int((~pure).sum()),
        loose=len(table) - len(named),
        confidence=settings.confidence,
    )


def beside(images: pd.DataFrame, found: words.Grouped) -> pd.DataFrame:
    """The table of the report: the metrics of groups beside those of `images`, with intervals."""
    cells = {
        "images": [metrics.cell(*images.loc[name]) for name in SHOWN],
        f"groups ({found.count:,})": [metrics.cell(*found.metrics.loc[name]) for name in SHOWN],
    }
    return pd.DataFrame({"metric": list(SHOWN), **cells})
