"""Temperature and thresholds: a planted error is found, and new data are as was asked for."""

from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from conf.schema import Abstention
from models.common import head
from train.common.evaluation.calibration import bins, error, measures, tempered
from train.common.fitting.calibrate import choose, divide_logits, temperature

CLASSES = ("a", "b", "c")
MANY = 30_000
POINTS = 0.02
"""How far coverage may be from what was asked."""


def drawn(count: int, seed: int, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from softmax(z), and softmax(z * sharpness): right, or too sure, of itself.

    Class 0 is easy, class 2 is rare and hard.
    """
    rng = np.random.default_rng(seed)
    kinds = rng.choice(3, count, p=[0.5, 0.35, 0.15])
    logits = rng.normal(size=(count, 3)) + np.eye(3)[kinds] * np.array([4, 2, 1])[kinds][:, None]
    probabilities = softmax(logits, axis=1)
    labels = (probabilities.cumsum(axis=1) > rng.random((count, 1))).argmax(axis=1)
    return labels, softmax(logits * sharpness, axis=1).astype(np.float32)


@pytest.mark.parametrize("planted", [0.5, 1.0, 2.5])
def test_a_planted_temperature_is_found_and_the_calibration_error_falls(planted: float) -> None:
    found, notes = temperature(*drawn(MANY, 0, planted))
    assert found == pytest.approx(planted, rel=0.03) and not notes
    labels, probabilities = drawn(MANY, 1, planted)
    before, after = (
        measures(labels, probabilities),
        measures(labels, tempered(probabilities, found)),
    )
    for name in ("ece", "adaptive_ece"):
        assert after[name] < 0.01
        assert planted == 1 or before[name] > 5 * after[name]
    assert planted == 1 or before["brier"] > after["brier"]


def test_few_images_or_no_minimum_leave_the_probabilities_and_say_so() -> None:
    value, notes = temperature(*drawn(29, 0))
    assert value == 1 and "Only 29 validation images" in notes[0]
    perfect = np.eye(3)[np.arange(60) % 3] * 0.9 + 0.03
    value, notes = temperature(np.arange(60) % 3, perfect)
    assert value == 1 and "No temperature from 0.1 to 10" in notes[0]


def test_the_temperature_is_undone_by_its_inverse() -> None:
    _, probabilities = drawn(500, 3)
    there = tempered(probabilities, 1.7)
    np.testing.assert_allclose(tempered(there, 1 / 1.7), probabilities, atol=1e-6)
    assert (there.argmax(axis=1) == probabilities.argmax(axis=1)).all()


def test_the_last_layer_divided_is_softmax_of_divided_logits() -> None:
    import keras

    keras.utils.set_random_seed(0)
    given = keras.Input((4, 4, 8))
    model = keras.Model(given, head(given, 3, hidden=8, dropout=0.2))
    model.get_layer("probabilities").bias.assign([0.5, -1, 2])
    features = np.random.default_rng(0).normal(size=(50, 4, 4, 8)) * 5
    before = model.predict(features, verbose=0)
    divide_logits(model, 2.5)
    after = model.predict(features, verbose=0)
    np.testing.assert_allclose(after, tempered(before, 2.5), atol=1e-6)
    assert np.abs(after - before).max() > 0.05


def test_sets_cover_every_class_as_asked() -> None:
    labels, probabilities = drawn(MANY, 4)
    thresholds, notes = choose(labels, probabilities, None, CLASSES, Abstention())
    assert not notes and thresholds.unlikeness is None
    labels, probabilities = drawn(MANY, 5)
    sets = thresholds.sets(probabilities)
    assert sets is not None
    for number in range(3):
        of_class = labels == number
        assert sets[of_class, number].mean() == pytest.approx(0.9, abs=POINTS)
    best = probabilities.argmax(axis=1)[labels == 2] == 2
    assert best.mean() < 0.7  # the hard class is covered only because it has its own threshold


def test_a_class_of_eight_images_has_no_threshold_of_its_own_and_is_named() -> None:
    labels, probabilities = drawn(2000, 6)
    for count, named in ((8, True), (9, False)):
        kept = np.concatenate([np.flatnonzero(labels != 2), np.flatnonzero(labels == 2)[:count]])
        found, notes = choose(labels[kept], probabilities[kept], None, CLASSES, Abstention())
        assert any("c: fewer than 9 validation images" in note for note in notes) == named
        assert found.classes is not None and len(found.classes) == 3
    nothing, notes = choose(labels[:8], probabilities[:8], None, CLASSES, Abstention())
    assert nothing.classes is None and "too few for prediction sets" in notes[0]


def test_at_most_the_share_asked_for_is_refused_as_unlike_the_training_images() -> None:
    labels, probabilities = drawn(400, 7)
    refused = []
    for seed in range(40):
        values = np.random.default_rng(seed).gamma(4, size=10_400)
        found, _ = choose(labels, probabilities, values[:400], CLASSES, Abstention(refused=0.05))
        assert found.unlikeness is not None
        assert (values[:400] > found.unlikeness).mean() <= 0.05
        refused.append((values[400:] > found.unlikeness).mean())
    assert np.mean(refused) == pytest.approx(0.05, abs=0.01)


def test_with_few_images_the_largest_unlikeness_is_the_threshold() -> None:
    labels, probabilities = drawn(18, 8)
    values = np.arange(18.0)
    found, notes = choose(labels, probabilities, values, CLASSES, Abstention(coverage=0.5))
    assert found.unlikeness == 17 and "18 validation images are too few" in notes[0]


def right_as_given(shares: dict[float, tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Two classes: for each probability, so many predictions, and so many of them right."""
    rows: list[Any] = [
        (0 if number < right else 1, [given, 1 - given])
        for given, (count, right) in shares.items()
        for number in range(count)
    ]
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])


def test_calibration_errors_are_the_mean_gap() -> None:
    labels, probabilities = right_as_given({0.95: (60, 30), 0.65: (40, 26)})
    table = bins(labels, probabilities)
    assert table["images"].tolist() == [40, 60]
    assert table[["low", "high"]].round(6).to_numpy().tolist() == [[0.6, 0.7], [0.9, 1.0]]
    assert error(labels, probabilities) == pytest.approx(0.6 * 0.45)
    assert error(labels, probabilities, adaptive=True) == pytest.approx(0.6 * 0.45)
    brier = np.mean([2 * (0.05 if y == 0 else 0.95) ** 2 for y in [0] * 30 + [1] * 30])
    other = np.mean([2 * (0.35 if y == 0 else 0.65) ** 2 for y in [0] * 26 + [1] * 14])
    assert measures(labels, probabilities)["brier"] == pytest.approx(0.6 * brier + 0.4 * other)


def test_adaptive_bins_have_equally_many_images_and_keep_equal_probabilities_together() -> None:
    labels, probabilities = drawn(1000, 9)
    assert bins(labels, probabilities, adaptive=True)["images"].tolist() == [100] * 10
    labels, probabilities = right_as_given({0.75: (100, 75)})
    assert error(labels, probabilities, adaptive=True) == pytest.approx(0)
