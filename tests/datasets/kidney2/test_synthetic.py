"""The generated slices: near-copies within a series, so a random split only seems good."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conf.errors import UserError
from conf.schema import Source
from datasets.common.digests import look
from datasets.common.images import resize
from datasets.kidney2.common import CLASSES
from datasets.kidney2.dataset import build
from datasets.kidney2.synthetic import SIDE, SLICES, draw
from tests.datasets.common import config

SERIES = 30
"""Of each class."""


@pytest.fixture(scope="module")
def series() -> np.ndarray:
    """(2, SERIES, SLICES, SIDE, SIDE, 3): class, series, slice."""
    return np.stack(
        [
            [draw(label, np.random.SeedSequence([5, label, number])) for number in range(SERIES)]
            for label in range(2)
        ]
    )


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return np.repeat([0, 1], SERIES * SLICES)


@pytest.fixture(scope="module")
def groups() -> np.ndarray:
    return np.repeat(np.arange(2 * SERIES), SLICES)


def test_the_same_seed_draws_the_same_series(series: np.ndarray) -> None:
    again = draw(1, np.random.SeedSequence([5, 1, 0]))
    assert again.shape == (SLICES, SIDE, SIDE, 3) and again.dtype == np.uint8
    assert np.array_equal(again, series[1, 0])
    assert np.ptp(again) > 200


def test_slices_of_a_series_are_near_copies_and_series_are_not(series: np.ndarray) -> None:
    bits = np.array([[[int(look(s), 16) for s in one] for one in kind] for kind in series])
    bits = bits.reshape(2 * SERIES, SLICES)
    within = np.bitwise_count(bits[:, :1] ^ bits[:, 1:])
    across = np.bitwise_count(bits[:, None, 0] ^ bits[None, :, 0])[np.triu_indices(2 * SERIES, 1)]
    assert (within <= 4).mean() > 0.9 and (across > 6).mean() > 0.97
    assert len({one.tobytes() for kind in series for slices in kind for one in slices}) == (
        2 * SERIES * SLICES
    )


def test_a_random_split_measures_how_well_the_series_is_recognised(
    series: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> None:
    flat = series.reshape(-1, SIDE, SIDE, 3)
    small = np.stack([resize(one, 32)[..., 0].ravel() for one in flat]).astype(float)
    distances = euclidean_distances(small)

    def nearest(excluded: np.ndarray) -> float:
        return float(
            (labels[np.where(excluded, np.inf, distances).argmin(axis=1)] == labels).mean()
        )

    assert nearest(np.eye(len(labels), dtype=bool)) > 0.97
    assert nearest(groups[:, None] == groups[None, :]) < 0.8


def test_brightness_does_not_give_the_class_away(
    series: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> None:
    flat = series.reshape(len(labels), -1)
    features = np.column_stack([flat.mean(axis=1), flat.std(axis=1), (flat > 10).mean(axis=1)])
    model = make_pipeline(StandardScaler(), LogisticRegression())
    folds = GroupKFold(5).split(features, labels, groups)
    assert cross_val_score(model, features, labels, cv=list(folds)).mean() < 0.75


def test_series_stay_in_one_split_and_one_cluster(tmp_path: Path) -> None:
    settings = config(classes=CLASSES, source=Source.sample, sample_images=20)
    table = build(settings, tmp_path).frame
    sizes = table.groupby(["label", "split", "cluster"]).size().reset_index(name="slices")
    assert sizes["cluster"].is_unique
    assert sizes["slices"].tolist() == [4, 4, 4, 4, 4] * 2


def test_a_class_that_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    settings = config(classes=[*CLASSES, "Cyst"], source=Source.sample, sample_images=5)
    with pytest.raises(UserError, match=r"sample cannot draw Cyst .*choices: Normal, Tumor"):
        build(settings, tmp_path)
