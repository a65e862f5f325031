"""Two models on the same samples: differences with intervals, McNemar's test, and the sentence."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from conf.schema import Metrics
from train.common.evaluation.paired import Pair, differences, mcnemar, verdict

CLASSES = ("a", "b", "c")
COUNT = 600
SETTINGS = Metrics(bootstrap=400)
NAMES = ("A (old)", "B (new)")


def drawn(rng: np.random.Generator, labels: np.ndarray, share: float) -> np.ndarray:
    """Probabilities of a model that is right for about `share` of the samples."""
    wrong = (labels + rng.integers(1, 3, len(labels))) % 3
    answers = np.where(rng.random(len(labels)) < share, labels, wrong)
    return 0.1 + 0.7 * np.eye(3)[answers]


def pair(first: float, second: float, groups: np.ndarray | None = None) -> Pair:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, COUNT)
    groups = np.arange(COUNT) if groups is None else groups
    return Pair(labels, drawn(rng, labels, first), drawn(rng, labels, second), groups, CLASSES)


def test_the_difference_is_that_of_the_two_metrics() -> None:
    given = pair(0.7, 0.9)
    row = differences(given, SETTINGS, 0).loc["accuracy"]
    one, two = (
        accuracy_score(given.labels, probabilities.argmax(axis=1))
        for probabilities in (given.first, given.second)
    )
    assert row["first"] == pytest.approx(one)
    assert row["difference"] == pytest.approx(two - one)
    assert 0 < row["low"] < row["difference"] < row["high"]


def test_the_interval_is_that_of_the_paired_differences() -> None:
    given = pair(0.7, 0.9)
    table = differences(given, SETTINGS, 0)
    one, two = given.right
    spread = (two.astype(float) - one).std() / np.sqrt(COUNT)
    width = table.loc["accuracy", "high"] - table.loc["accuracy", "low"]
    assert width == pytest.approx(2 * 1.96 * spread, rel=0.15)


def test_a_model_does_not_differ_from_itself() -> None:
    given = pair(0.8, 0.8)
    same = Pair(given.labels, given.first, given.first, given.groups, CLASSES)
    table = differences(same, SETTINGS, 0)
    assert (table[["difference", "low", "high"]].fillna(0) == 0).all(axis=None)
    assert mcnemar(same) == (0, 0, 1.0)
    assert verdict(same, table, NAMES, 0.95).startswith("No difference in accuracy is shown")


def test_mcnemar_counts_what_only_one_predicts_rightly() -> None:
    labels = np.zeros(20, np.int64)
    right, wrong = np.eye(3)[0], np.eye(3)[1]
    first = np.array([right] * 12 + [wrong] * 8)
    second = np.array([right] * 10 + [wrong] * 2 + [right] * 8)
    given = Pair(labels, first, second, np.arange(20), CLASSES)
    alone, other, p = mcnemar(given)
    assert (alone, other) == (2, 8)
    assert p == pytest.approx(2 * sum([1, 10, 45]) / 2**10)  # the two tails of Binomial(10, 1/2)


def test_clusters_widen_the_interval() -> None:
    labels = np.repeat(np.arange(3), COUNT // 3)
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(COUNT // 20), 20)
    chosen = rng.random(COUNT // 20)[groups] < 0.3  # whole clusters that only the second gets
    wrong = np.eye(3)[(labels + 1) % 3]
    first = np.where(chosen[:, None], wrong, np.eye(3)[labels])
    widths = []
    for each in (np.arange(COUNT), groups):
        given = Pair(labels, first, np.eye(3)[labels], each, CLASSES)
        row = differences(given, SETTINGS, 0).loc["accuracy"]
        widths.append(row["high"] - row["low"])
    assert widths[1] > 2.5 * widths[0]


@pytest.mark.parametrize(
    ("first", "second", "better"), [(0.7, 0.9, "B (new)"), (0.9, 0.7, "A (old)")]
)
def test_the_sentence_names_the_better_model(first: float, second: float, better: str) -> None:
    given = pair(first, second)
    said = verdict(given, differences(given, SETTINGS, 0), NAMES, 0.95)
    assert said.startswith(f"{better} is ")
    assert "points more accurate than" in said and "McNemar p < 0.0001" in said
