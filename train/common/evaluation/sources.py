"""Metrics by the source of the images: the hospital, device or set that a manifest names."""

import numpy as np
import pandas as pd

from conf.schema import Metrics, Split, SplitBy
from train.common.data.types import Predictions
from train.common.evaluation import metrics

BY_SOURCE = (
    "Accuracy on the test images of each source, and the recall of each class where it has images; "
    "intervals resample near-duplicate clusters. A model that recognises the source instead of the "
    "finding is right where a source has one class."
)
"""The caption of the table."""


def named(frame: pd.DataFrame) -> np.ndarray | None:
    """The source of each row (N,), "" for none; None unless there are two sources or more."""
    if "source" not in frame:
        return None
    sources = frame["source"].astype(object).fillna("").astype(str).to_numpy()
    return sources if len(set(sources) - {""}) > 1 else None


def by_source(predictions: Predictions, settings: Metrics, seed: int) -> pd.DataFrame | None:
    """One row per source: images, accuracy, and the recall of each class; None without sources."""
    if (sources := named(predictions.frame)) is None:
        return None
    labels, right = predictions.labels, _right(predictions)
    clusters = predictions.frame["cluster"].to_numpy()
    rows = []
    for source in sorted(set(sources) - {""}):
        own = np.flatnonzero(sources == source)
        parts = {"accuracy": own}
        parts |= {
            f"recall_{name}": own[labels[own] == k] for k, name in enumerate(predictions.classes)
        }
        cells = {
            name: _cell(right[part], clusters[part], settings, seed) for name, part in parts.items()
        }
        rows.append({"source": source, "images": len(own), **cells})
    return pd.DataFrame(rows)


def _right(predictions: Predictions) -> np.ndarray:
    return (predictions.probabilities.argmax(axis=1) == predictions.labels).astype(float)


def _cell(right: np.ndarray, clusters: np.ndarray, settings: Metrics, seed: int) -> str:
    if not len(right):
        return ""
    return metrics.cell(
        *metrics.interval(lambda rows: float(right[rows].mean()), clusters, settings, seed)
    )


def left_out(split: Split) -> list[str]:
    """What figures mean if each fold tested one source."""
    if split.by != SplitBy.source:
        return []
    return [
        "Each source was predicted by a model that was trained on the other sources: the figures "
        "are those for a new hospital, device or set. The table of figures by source has each."
    ]


def confounded(frame: pd.DataFrame, titles: tuple[str, ...]) -> list[str]:
    """The warning that all images of a class come from one source, if they do."""
    if (sources := named(frame)) is None:
        return []
    known = frame.assign(source=sources).groupby("label")["source"].unique()
    alone = [
        f"{titles[label]} ({found[0]})"
        for label, found in known.items()
        if len(found) == 1 and found[0]
    ]
    if not alone:
        return []
    return [
        f"All test images of a class come from one source: {', '.join(alone)}. Class and source "
        "are confounded: the figures do not tell whether the model recognises the finding or the "
        "source."
    ]
