"""Leak probes: how well something that is no finding gives the class away.

Each probe is judged twice. At random, near-copies of an image may be learned from; by cluster,
whole clusters are left out. What is high at random and low by cluster recognises the copy;
what stays high by cluster is a shortcut that a model will find as well.

An interval is that of `train.common.evaluation.metrics`: clusters are drawn with replacement.
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
from train.common.evaluation.metrics import bootstrap

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

TREES = 100
LEAF = 5
"""Images of a leaf at least: file sizes alone would name every image."""
THUMBNAIL = 32
"""Side in pixels of the images that neighbours are sought among."""
BORDER = 0.04
CORNER = 0.25
"""Shares of the side."""


def metadata(table: pd.DataFrame, pixels: np.ndarray) -> pd.DataFrame:
    """What is known of images (N, S, S, 3) without looking at what they show, a row each.

    Bytes, width and height of the file; mean brightness of the border; and for every corner how
    green it is, where endoscopes draw the position inset.
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
    """The left-out answers (N,) of a random forest; see `held_out`."""
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
    """What `model.method` says of rows that it has not seen; `groups` (N,) are left out whole.

    None where a class has too few rows or groups for two folds.
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
    """The label (N,) of each point's nearest among those of other `groups`; points (N, D).

    Without `groups` only the point itself is left out. None where all are in one group.
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
    """Share of `right` (N,) answers, and its interval over resampled `clusters` (N,)."""
    found = bootstrap(
        lambda rows: {"accuracy": right[rows].mean()},
        clusters,
        probes.bootstrap,
        probes.confidence,
        seed,
    )
    value, low, high = found.loc["accuracy", ["value", "low", "high"]]
    return float(value), float(low), float(high)


Answers = Callable[[np.ndarray | None], np.ndarray | None]
"""From groups to left-out answers; without groups, single images are left out."""


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
    """Sorted row numbers of randomly drawn whole clusters, about `limit` of them at most."""
    if len(clusters) <= limit:
        return np.arange(len(clusters))
    codes, names = pd.factorize(clusters)
    order = np.random.default_rng(seed).permutation(len(names))
    within = np.bincount(codes)[order].cumsum() <= limit
    return np.flatnonzero(np.isin(codes, order[within]))
