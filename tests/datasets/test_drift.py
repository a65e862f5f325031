"""The profile of a model's answers: bins that hold equally many images, and counts alone."""

import json

import numpy as np

from datasets.common.images import Profile, Thresholds, profile, verdicts

CLASSES = ("a", "b", "c")
THRESHOLDS = Thresholds(15.0, (0.5, 0.5, 0.5))
IMAGES = 500


def answers(count: int = IMAGES, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (count, 3) and unlikeness (count,)."""
    rng = np.random.default_rng(seed)
    return rng.dirichlet([1, 1, 1], count).astype(np.float32), rng.gamma(40, 0.25, count)


def made(thresholds: Thresholds | None = THRESHOLDS, measured: bool = True) -> Profile:
    probabilities, unlikeness = answers()
    found = profile(thresholds, CLASSES, probabilities, unlikeness if measured else None)
    assert found
    return found


def test_each_bin_holds_a_tenth_and_each_image_is_counted_once() -> None:
    found, (probabilities, unlikeness) = made(), answers()
    counts = found.counts
    assert counts.cells.shape == (10, 10)
    assert counts.images == counts.cells.sum() == IMAGES
    for axis in (0, 1):
        assert np.abs(counts.cells.sum(axis) - IMAGES / 10).max() <= 2  # the edges are rounded
    assert counts.classes.tolist() == np.bincount(probabilities.argmax(axis=1)).tolist()
    refused = verdicts(THRESHOLDS, CLASSES, probabilities, unlikeness)
    assert counts.abstained == sum(bool(each.abstained) for each in refused) > 0
    assert counts.by_abstention.sum() == IMAGES


def test_other_answers_are_counted_in_the_same_bins() -> None:
    found = made()
    probabilities = np.array([[0.34, 0.33, 0.33], [0, 0, 1.0], [0, 1.0, 0]])
    unlikeness = np.array([0.0, 1e9, np.nan])
    given = verdicts(THRESHOLDS, CLASSES, probabilities, unlikeness)
    rows = found.rows(probabilities, unlikeness, given)
    assert rows.tolist() == [[0, 0, 0, 1], [2, 9, 9, 1], [1, 9, 9, 1]]
    assert found.count(rows).cells[9, 9] == 2
    assert found.count(rows[:0]).images == 0


def test_a_model_that_is_always_sure_has_no_bins_within_the_rounding() -> None:
    rng = np.random.default_rng(0)
    sure = 1 - rng.random(IMAGES) * 1e-6
    found = profile(None, ("a", "b"), np.stack([sure, 1 - sure], axis=1), None)
    assert found and found.confidence == () and found.counts.cells.tolist() == [[IMAGES]]


def test_what_a_model_does_not_measure_is_left_out() -> None:
    found = made(None, measured=False)
    assert found.unlikeness == () and found.counts.cells.shape == (10, 1)
    assert not found.abstains and found.counts.abstained == 0


def test_few_images_make_no_profile() -> None:
    assert profile(THRESHOLDS, CLASSES, *answers(29)) is None
    assert profile(THRESHOLDS, CLASSES, *answers(30)) is not None


def test_a_profile_survives_the_metadata_of_a_model_and_stays_small() -> None:
    for each in (made(), made(None, measured=False)):
        text = json.dumps(each.metadata())
        again = Profile.of(json.loads(text))
        assert again and again.metadata() == each.metadata()
        assert len(text) < 1000
    assert Profile.of(None) is None
