"""Leak probes: how well properties other than the finding predict the class.

The gate of a training (`evaluation.leaks`) fits them on training images and judges them on
validation images. In the study of a dataset each probe is validated twice. At random, it may learn
from near-copies of an image; by cluster, whole clusters are left out. A probe that is high at
random and low by cluster recognises copies. A probe that stays high by cluster is a shortcut, which
a model can learn too.

Intervals are those of `train.common.evaluation.metrics`: clusters are drawn with replacement.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import pairwise_distances_chunked
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict

from conf.schema import Metrics, Probes
from datasets.common.images import located, opened, resize, sniff
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
CELLS, MASKED = 16, 2
"""Cells on a side of the thumbnail of a masked image, and those at each edge that stay."""
LUMINANCE = 57.625
"""Mean of the luminance table at quality 50 (ITU-T T.81, table K.1)."""


def metadata(table: pd.DataFrame, pixels: np.ndarray) -> pd.DataFrame:
    """Properties of images (N, S, S, 3) other than the finding, one row per image.

    Bytes, width, height and aspect of the file; its JPEG quality; mean brightness of the border;
    and the greenness of every corner, because endoscopes draw the position inset there.
    """
    side = pixels.shape[1]
    edge, corner = max(1, round(BORDER * side)), round(CORNER * side)
    near, far = slice(0, corner), slice(side - corner, side)
    corners = {"top left": (near, near), "top right": (near, far)}
    corners |= {"lower left": (far, near), "lower right": (far, far)}
    ring = np.concatenate(
        [
            pixels[:, rows, columns].reshape(len(pixels), -1)
            for rows, columns in (
                (slice(edge), slice(None)),
                (slice(side - edge, side), slice(None)),
                (slice(edge, side - edge), slice(edge)),
                (slice(edge, side - edge), slice(side - edge, side)),
            )
        ],
        axis=1,
    )
    seen = {"border brightness": ring.mean(axis=1)}
    for name, where in corners.items():
        red, green, blue = pixels[:, *where].mean(axis=(1, 2)).T
        seen[f"{name} greenness"] = green - (red + blue) / 2
    width, height = table["width"].to_numpy(), table["height"].to_numpy()
    files = [located(Path(path))[0] for path in table["path"]]
    of_file = {
        "bytes": [file.stat().st_size for file in files],
        "width": width,
        "height": height,
        "aspect": width / height,
        "JPEG quality": [jpeg_quality(file) for file in files],
    }
    return pd.DataFrame(of_file | seen)


def jpeg_quality(path: Path) -> float:
    """The quality 1..100 at which libjpeg would write the luminance table of `path`; 0 if no JPEG.

    It is estimated from the mean of the table, which libjpeg scales by 50 / quality below 50 and by
    2 - quality / 50 above.
    """
    with opened(path) as file:
        if sniff(file) != "JPEG":
            return 0.0
        with Image.open(file, formats=["JPEG"]) as image:
            tables = getattr(image, "quantization", {})
    if not tables:
        return 0.0
    scale = float(np.mean(next(iter(tables.values())))) / LUMINANCE
    return 100 - 50 * scale if scale <= 1 else 50 / scale


def masked(pixels: np.ndarray) -> np.ndarray:
    """float32 (N, 336): images uint8 (N, S, S, 3) without their centre, as means of cells.

    The outer eighth at each edge stays, so a border, an inset or a frame is seen, and most findings
    are not.
    """
    small = np.stack([resize(image, CELLS) for image in pixels]).astype(np.float32)
    seen = np.ones((CELLS, CELLS), dtype=bool)
    seen[MASKED:-MASKED, MASKED:-MASKED] = False
    return small[:, seen].reshape(len(small), -1)


def judged(fitted: tuple[np.ndarray, np.ndarray], given: np.ndarray, seed: int) -> np.ndarray:
    """Predictions (M,) for `given` (M, D) of a forest fitted on `fitted`: (N, D), labels (N,).

    Rare classes weigh more, so that their recall counts as much as that of others.
    """
    model = RandomForestClassifier(
        TREES, min_samples_leaf=LEAF, class_weight="balanced", random_state=seed, n_jobs=-1
    )
    return model.fit(*fitted).predict(given)


def mean_recall(
    said: np.ndarray, labels: np.ndarray, clusters: np.ndarray, settings: Metrics, seed: int
) -> tuple[float, float, float]:
    """Mean recall of the predictions `said` (N,), and its interval over resampled clusters (N,)."""
    right = (said == labels).astype(float)

    def mean(rows: np.ndarray) -> float:
        counts = np.bincount(labels[rows])
        hits = np.bincount(labels[rows], weights=right[rows])
        return float((hits[counts > 0] / counts[counts > 0]).mean())

    return interval(mean, clusters, settings, seed)


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
