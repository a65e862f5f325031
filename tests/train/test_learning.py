"""The learning curve says that more images help where they do, and not where they do not."""

import numpy as np
import pytest

from conf.schema import Metrics
from train.common.evaluation.learning import Features, curve, part
from train.common.evaluation.words import more_images

SETTINGS = Metrics(bootstrap=200)
OF_A_CLUSTER = 4


def images(count: int, noise: float, size: int = 40, seed: int = 0) -> Features:
    """Two classes whose means lie apart in every dimension; four images make a cluster."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) // OF_A_CLUSTER % 2
    values = (2 * labels[:, None] - 1) + rng.normal(scale=noise, size=(count, size))
    return Features(values, labels, np.arange(count) // OF_A_CLUSTER)


def test_whole_clusters_of_each_class_are_drawn_and_larger_parts_hold_smaller_ones() -> None:
    training = images(400, 1.0)
    smaller, larger = (part(training, share, seed=3) for share in (0.1, 0.4))
    assert set(smaller) < set(larger) and len(smaller) == 40
    for rows in (smaller, larger):
        _, counts = np.unique(training.clusters[rows], return_counts=True)
        assert (counts == OF_A_CLUSTER).all()
        assert training.labels[rows].mean() == 0.5
    assert len(part(training, 1.0, 3)) == 400
    assert set(part(training, 0.4, 4)) != set(larger)
    few = Features(training.values, (training.clusters == 7).astype(int), training.clusters)
    assert (part(few, 0.1, 0) // OF_A_CLUSTER == 7).sum() == OF_A_CLUSTER


def test_a_curve_that_rises_asks_for_more_images() -> None:
    training, validation = images(400, 14.0, 800), images(2000, 14.0, 800, seed=1)
    table, verdict = curve(training, validation, SETTINGS, 0)
    assert table["images"].tolist() == [40, 80, 160, 280, 400]
    assert table["clusters"].tolist() == [10, 20, 40, 70, 100]
    assert table["value"].is_monotonic_increasing
    assert (table["low"] < table["value"]).all() and (table["value"] < table["high"]).all()
    assert "more images would help" in verdict and "From 70% to 100%" in verdict
    assert table["spread"].iat[0] > 0 == table["spread"].iat[-1]


def test_a_curve_that_is_flat_does_not() -> None:
    _, verdict = curve(images(1200, 2.0), images(1000, 2.0, seed=1), SETTINGS, 0)
    assert "would hardly help" in verdict


def test_shuffled_labels_stay_at_chance() -> None:
    training, rng = images(800, 12.0), np.random.default_rng(0)
    shuffled = Features(training.values, rng.permutation(training.labels), training.clusters)
    table, _ = curve(shuffled, images(1000, 12.0, seed=1), SETTINGS, 0)
    assert table["value"].between(0.4, 0.6).all()


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        ((0.012, 0.003, 0.021), r"+1.2 points [+0.3, +2.1]: more images would help."),
        ((0.001, -0.004, 0.006), "would hardly help"),
        ((0.02, -0.01, 0.05), "is not clear"),
    ],
)
def test_the_verdict_follows_the_interval(gain: tuple[float, float, float], words: str) -> None:
    assert words in more_images(0.7, gain)
