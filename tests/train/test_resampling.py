"""All resamples at once give what scikit-learn gives for the rows of each."""

import warnings

import numpy as np
import pandas as pd
import pytest

from conf.schema import Metrics
from train.common.evaluation import metrics, resampling

CLASSES = ("a", "b", "c", "d")
RESAMPLES = 12


def sample(
    seed: int, count: int, classes: int, decimals: int = 9
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    """Labels, probabilities, clusters of one to a few rows, and the names of the classes."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, count, p=rng.dirichlet(np.ones(classes)))
    logits = rng.normal(size=(count, classes)) + np.eye(classes)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    clusters = rng.integers(0, count, count)
    return labels, np.round(probabilities, decimals), clusters, CLASSES[:classes]


def one_by_one(
    labels: np.ndarray, probabilities: np.ndarray, clusters: np.ndarray, classes: tuple[str, ...]
) -> pd.DataFrame:
    """The metrics of each resample by scikit-learn, on its repeated rows."""
    chosen = resampling.rows(clusters, RESAMPLES, seed=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pd.DataFrame(
            [metrics.scores(labels[rows], probabilities[rows], classes) for rows in chosen]
        )


@pytest.mark.parametrize(("count", "classes"), [(2, 2), (6, 4), (40, 2), (60, 4)])
@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_every_metric_of_every_resample_is_that_of_scikit_learn(
    count: int, classes: int, decimals: int
) -> None:
    drawn = sample(count, count, classes, decimals)
    expected = one_by_one(*drawn)
    found = resampling.scores(*drawn, RESAMPLES, seed=3)
    assert set(found) == set(expected)
    pd.testing.assert_frame_equal(found[expected.columns], expected, rtol=1e-9, atol=1e-12)


def test_ties_absent_classes_and_single_precision_are_scored_as_by_scikit_learn() -> None:
    labels = np.array([0] * 9 + [1] * 8 + [2])
    probabilities = np.round(np.random.default_rng(0).dirichlet(np.ones(4), 18), 1)
    given_rows = labels, probabilities.astype(np.float32), np.arange(18), CLASSES
    expected = one_by_one(*given_rows)
    assert expected["recall_c"].isna().any() and expected["roc_auc_c"].notna().any()
    assert expected["specificity_d"].isna().all()
    found = resampling.scores(*given_rows, RESAMPLES, seed=3)
    pd.testing.assert_frame_equal(found[expected.columns], expected, rtol=1e-5)


def test_weights_say_how_often_each_row_was_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    clusters = np.array(["k2", "k1", "k2", "k3", "k4"])
    monkeypatch.setattr(resampling, "CELLS", 20)  # four resamples at a time
    parts = list(resampling.weights(clusters, 10, seed=0))
    assert [part.shape for part in parts] == [(4, 5), (4, 5), (2, 5)]
    rows = resampling.rows(clusters, 10, seed=0)
    expected = np.array([np.bincount(each, minlength=5) for each in rows])
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    assert (expected == 0).any() and (expected[:, 0] == expected[:, 2]).all()


def test_whole_clusters_are_drawn_in_the_order_of_the_seed() -> None:
    clusters = np.array([7, 3, 7, 5])
    chosen = np.random.default_rng(4).integers(0, 3, 3)
    members = [[1], [3], [0, 2]]
    expected = [row for number in chosen for row in members[number]]
    assert next(resampling.rows(clusters, 1, seed=4)).tolist() == expected


def test_the_intervals_are_those_of_the_bootstrap_of_a_function() -> None:
    labels, probabilities, clusters, classes = sample(0, 150, 3)

    def share(labels: np.ndarray, probabilities: np.ndarray) -> float:
        return float((probabilities[:, 0] > 0.5).mean() - (labels == 0).mean())

    def figures(rows: np.ndarray) -> dict[str, float]:
        of = labels[rows], probabilities[rows]
        return metrics.scores(*of, classes) | {"share": share(*of)}

    some = Metrics(bootstrap=40)
    slow = metrics.bootstrap(figures, clusters, some, 1)
    fast = metrics.intervals(labels, probabilities, clusters, classes, some, 1, {"share": share})
    pd.testing.assert_frame_equal(fast, slow, rtol=1e-9)


def test_a_large_sample_is_weighed_in_small_parts() -> None:
    part = next(resampling.weights(np.arange(20_000), 1000, seed=0))
    assert part.nbytes < 1 << 20
    assert next(resampling.weights(np.arange(200_000), 1000, seed=0)).shape == (1, 200_000)
