"""Leak probes: how well properties other than the finding predict the class.

Each probe is validated twice. At random, it may learn from near-copies of an image; by cluster,
whole clusters are left out. A probe that is high at random and low by cluster recognises copies. A
probe that stays high by cluster is a shortcut, which a model can learn too.

Intervals are those of `train.common.evaluation.metrics`: clusters are drawn with replacement.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import pairwise_distances_chunked
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict

from conf.schema import Probes
from datasets.common.images import resize
from train.common.evaluation.metrics import interval

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

TREES = 100
LEAF = 5
"""Smallest number of images in a leaf; with fewer, the file size would identify each image."""
THUMBNAIL = 32
"""Side in pixels of the images of the nearest-neighbour search."""
BORDER = 0.04
CORNER = 0.25
"""Width of border and corner, as shares of the side."""


def metadata(table: pd.DataFrame, pixels: np.ndarray) -> pd.DataFrame:
    """Properties of images (N, S, S, 3) other than the finding, one row per image.

    Bytes, width and height of the file; mean brightness of the border; and the greenness of every
    corner, because endoscopes draw the position inset there.
    """
    side = pixels.shape[1]
    edge, corner = max(1, round(BORDER * side)), round(CORNER * side)
    near, far = slice(0, corner), slice(side - corner, side)
    corners = {"top left": (near, near), "top right": (near, far)}
    corners |= {"lower left": (far, near), "lower right": (far, far)}
    rows = []
    for image in pixels:
        inner = image[edge:-edge, edge:-edge]
        ring = (image.sum(dtype=float) - inner.sum(dtype=float)) / (image.size - inner.size)
        means = {name: image[where].mean(axis=(0, 1)) for name, where in corners.items()}
        green = {f"{k} greenness": v[1] - (v[0] + v[2]) / 2 for k, v in means.items()}
        rows.append({"border brightness": ring, **green})
    known = pd.DataFrame(rows)
    known.insert(0, "height", table["height"].to_numpy())
    known.insert(0, "width", table["width"].to_numpy())
    known.insert(0, "bytes", [Path(path).stat().st_size for path in table["path"]])
    return known


def thumbnails(pixels: np.ndarray) -> np.ndarray:
    """float32 (N, 32 * 32 * 3) of images uint8 (N, S, S, 3)."""
    small = [resize(image, THUMBNAIL).ravel() for image in pixels]
    return np.stack(small).astype(np.float32)


def forest(
    features: pd.DataFrame, labels: np.ndarray, groups: np.ndarray | None, probes: Probes, seed: int
) -> np.ndarray | None:
    """Out-of-fold predictions (N,) of a random forest; see `held_out`."""
    model = RandomForestClassifier(TREES, min_samples_leaf=LEAF, random_state=seed, n_jobs=-1)
    return held_out(model, features, labels, groups, probes, seed, "predict")


def held_out(
    model: "ClassifierMixin",
    features: pd.DataFrame,
    labels: np.ndarray,
    groups: np.ndarray | None,
    probes: Probes,
    seed: int,
    method: str,
) -> np.ndarray | None:
    """Out-of-fold outputs of `model.method`; whole `groups` (N,) are left out.

    None if a class has too few rows or groups for two folds.
    """
    units = pd.Series(np.arange(len(labels)) if groups is None else groups)
    folds = min(probes.folds, int(units.groupby(labels).nunique().min()))
    if folds < 2:
        return None
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    order = kind(folds, shuffle=True, random_state=seed)
    given = features.to_numpy(dtype=float)
    return cross_val_predict(model, given, labels, groups=groups, cv=order, method=method)


def neighbour(
    points: np.ndarray, labels: np.ndarray, groups: np.ndarray | None
) -> np.ndarray | None:
    """The label (N,) of the nearest neighbour of each point (N, D) in the other `groups`.

    Without `groups` only the point itself is left out. None if all points are in one group.
    """
    if groups is None:
        groups = np.arange(len(labels))
    if (groups == groups[0]).all():
        return None

    def nearest(distances: np.ndarray, start: int) -> np.ndarray:
        own = groups[start : start + len(distances), None] == groups[None, :]
        return np.where(own, np.inf, distances).argmin(axis=1)

    return labels[np.concatenate(list(pairwise_distances_chunked(points, reduce_func=nearest)))]


def accuracy(
    right: np.ndarray, clusters: np.ndarray, probes: Probes, seed: int
) -> tuple[float, float, float]:
    """Share of `right` (N,) predictions, and its interval over resampled `clusters` (N,)."""
    return interval(lambda rows: right[rows].mean(), clusters, probes, seed)


Answers = Callable[[np.ndarray | None], np.ndarray | None]
"""Gives out-of-fold predictions by groups; without groups, single images are left out."""


def compare(
    name: str, answers: Answers, labels: np.ndarray, clusters: np.ndarray, probes: Probes, seed: int
) -> pd.DataFrame:
    """One probe at random and by cluster: probe, validated, value, low, high, balanced."""
    rows = []
    for kind, groups in (("at random", None), ("by cluster", clusters)):
        if (said := answers(groups)) is None:
            continue
        value, low, high = accuracy(said == labels, clusters, probes, seed)
        balanced = pd.Series(said == labels).groupby(labels).mean().mean()
        rows.append((name, kind, value, low, high, balanced))
    return pd.DataFrame(rows, columns=["probe", "validated", "value", "low", "high", "balanced"])


def whole_clusters(clusters: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """Sorted row numbers of random whole clusters, at most `limit` rows."""
    if len(clusters) <= limit:
        return np.arange(len(clusters))
    codes, names = pd.factorize(clusters)
    order = np.random.default_rng(seed).permutation(len(names))
    within = np.bincount(codes)[order].cumsum() <= limit
    return np.flatnonzero(np.isin(codes, order[within]))
