"""When a model abstains, by its thresholds, and what a model without thresholds says."""

import json

import numpy as np

from datasets.common.images import NOT_SURE, UNLIKE, Thresholds, Verdict, verdicts

CLASSES = ("a", "b", "c")
THRESHOLDS = Thresholds(10.0, (0.4, 0.4, 0.7))


def judged(probabilities: list[float], unlikeness: float) -> Verdict:
    (found,) = verdicts(THRESHOLDS, CLASSES, np.array([probabilities]), np.array([unlikeness]))
    return found


def test_one_class_in_the_set_is_a_prediction() -> None:
    assert judged([0.9, 0.08, 0.02], 5) == Verdict(False, None, ["a"])


def test_two_classes_or_none_are_not_sure() -> None:
    assert judged([0.65, 0.0, 0.35], 5) == Verdict(True, NOT_SURE, ["a", "c"])
    assert judged([0.4, 0.4, 0.2], 5) == Verdict(True, NOT_SURE, [])


def test_each_class_has_its_own_threshold() -> None:
    assert judged([0.35, 0.33, 0.32], 5) == Verdict(False, None, ["c"])


def test_unlike_the_training_images_is_the_reason_however_sure_the_model_is() -> None:
    assert judged([1, 0, 0], 10) == Verdict(False, None, ["a"])
    assert judged([1, 0, 0], 10.1) == Verdict(True, UNLIKE, ["a"])
    assert judged([0.4, 0.4, 0.2], 11).reason == UNLIKE
    assert judged([1, 0, 0], float("nan")).reason == UNLIKE


def test_a_model_without_thresholds_says_neither_yes_nor_no() -> None:
    found = verdicts(Thresholds.of(None), CLASSES, np.eye(3), None)
    assert found == [Verdict(None, None, None)] * 3


def test_one_kind_of_threshold_is_enough() -> None:
    only = Thresholds(unlikeness=1.0)
    found = verdicts(only, CLASSES, np.full((2, 3), 1 / 3), np.array([0.5, 2]))
    assert found == [Verdict(False, None, None), Verdict(True, UNLIKE, None)]


def test_thresholds_survive_the_metadata_of_a_model() -> None:
    for each in (THRESHOLDS, Thresholds(unlikeness=1.0), Thresholds(classes=(0.1, 0.2, 0.3))):
        assert Thresholds.of(json.loads(json.dumps(each.metadata()))) == each
