"""The learning curve: would more images help?

Logistic regression on frozen features is fitted on growing parts of the training images and judged
on the validation images. The layers that the features come from have never trained, so a small part
of the images is as new to them as all of them. Fine-tuning reaches another level, but is likely to
be short of images too where the curve still rises at its end [1].

1. Viering, Loog: *The Shape of Learning Curves: a Review*, IEEE TPAMI 45 (2023).
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from conf.schema import Metrics
from train.common.evaluation import metrics, words

SHARES = (0.1, 0.2, 0.4, 0.7, 1.0)
"""Shares of the groups of training images."""
DRAWS = 5
"""Random choices of each share; their mean is shown."""
ITERATIONS = 1000
CAPTION = (
    "Accuracy on validation images of logistic regression on the frozen features, fitted on a part "
    "of the training images: whole near-duplicate clusters, the same share of each class, the mean "
    f"of {DRAWS} draws. Intervals resample the clusters of the validation images. Fine-tuning "
    "reaches another accuracy; where this curve still rises, it is likely to lack images too."
)


@dataclass(frozen=True)
class Features:
    """The features of some images."""

    values: np.ndarray
    """(N, C)."""
    labels: np.ndarray
    """Class numbers (N,)."""
    clusters: np.ndarray
    """Near-duplicate clusters (N,)."""


def curve(
    training: Features, validation: Features, settings: Metrics, seed: int
) -> tuple[pd.DataFrame, str]:
    """One row per share: share, images, clusters, value, low, high, spread; and the verdict.

    The spread is the standard deviation over the draws; it is 0 for the whole.
    """
    rows, right = [], {}
    for share in SHARES:
        draws = DRAWS if share < 1 else 1
        chosen = [part(training, share, seed + draw) for draw in range(draws)]
        hits = np.stack([_right(training, each, validation) for each in chosen])  # (draws, N)
        right[share] = hits.mean(axis=0)
        found = _mean(right[share], validation, settings, seed)
        images = np.mean([len(each) for each in chosen])
        clusters = np.mean([len(np.unique(training.clusters[each])) for each in chosen])
        rows.append((share, round(images), round(clusters), *found, float(hits.mean(axis=1).std())))
    names = ["share", "images", "clusters", "value", "low", "high", "spread"]
    *_, before, last = SHARES
    gain = _mean(right[last] - right[before], validation, settings, seed)
    return pd.DataFrame(rows, columns=names), words.more_images(before, gain)


def part(training: Features, share: float, seed: int) -> np.ndarray:
    """Row numbers of a share of the clusters of each class, at least one of each.

    With the same `seed`, a larger share holds a smaller one. A cluster counts to the class of most
    of its images.
    """
    table = pd.DataFrame({"cluster": training.clusters, "label": training.labels})
    labels = table.groupby("cluster")["label"].agg(lambda each: each.mode().iat[0])
    shuffled = labels.sample(frac=1, random_state=seed)
    by_class = shuffled.groupby(shuffled)
    wanted = by_class.transform("size").map(lambda size: math.ceil(share * size))
    return np.flatnonzero(table["cluster"].isin(shuffled.index[by_class.cumcount() < wanted]))


def _right(training: Features, rows: np.ndarray, validation: Features) -> np.ndarray:
    """Whether each validation image (N,) is predicted rightly after a fit on `rows`."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS))
    model.fit(training.values[rows], training.labels[rows])
    return (model.predict(validation.values) == validation.labels).astype(float)


def _mean(
    each: np.ndarray, validation: Features, settings: Metrics, seed: int
) -> tuple[float, float, float]:
    """The mean of a value of each image (N,), and its interval over whole clusters."""
    return metrics.interval(
        lambda rows: float(each[rows].mean()), validation.clusters, settings, seed
    )
