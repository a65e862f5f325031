"""The bootstrap of the metrics: all resamples at once, and scikit-learn for one after the other.

    python tests/benchmarks/bootstrap.py
    python tests/benchmarks/bootstrap.py --images 20000 --resamples 200

Both have the same resamples of the same generated predictions, in turns. The interval of every
metric must be the same, or the benchmark fails.
"""

import argparse
import sys
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from conf.schema import Metrics
from tests.benchmarks.tables import show
from train.common.evaluation import metrics

AS_ENDOSCOPY4 = 3567
"""Images, whose predictions all folds give together."""
PER_CLUSTER = 2
TOLERANCE = 1e-9


def main() -> None:
    """Time both in turns, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, nargs="*", default=[500, AS_ENDOSCOPY4])
    parser.add_argument("--classes", type=int, default=4)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    settings = Metrics(bootstrap=given.resamples)
    classes = tuple(f"class{k}" for k in range(given.classes))
    lines = []
    for count in given.images:
        drawn = predictions(count, given.classes)
        at_once = partial(metrics.intervals, *drawn, classes, settings, 0)
        slowly = partial(one_by_one, *drawn, classes, settings)
        seconds: dict[str, list[float]] = {"at once": [], "one by one": []}
        for _ in range(given.rounds):
            fast = timed(at_once, seconds["at once"])
            slow = timed(slowly, seconds["one by one"])
        pd.testing.assert_frame_equal(fast, slow, rtol=TOLERANCE, atol=TOLERANCE)
        best, before = min(seconds["at once"]), min(seconds["one by one"])
        memory = peak(at_once)
        lines.append(
            [f"{count:,}", f"{before:.1f}", f"{best:.2f}", f"{before / best:.0f}", f"{memory:.0f}"]
        )
    show(
        ["images", "scikit-learn, one by one, s", "at once, s", "times faster", "memory, MB"],
        lines,
    )
    print(
        f"- {given.resamples:,} resamples of clusters of {PER_CLUSTER} images, {given.classes} "
        f"classes, {len(fast)} metrics; the best of {given.rounds} rounds in turns\n"
        "- the intervals of both are equal"
    )


def predictions(count: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, probabilities and clusters of `count` generated images."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, count)
    logits = rng.normal(size=(count, classes)) + 2 * np.eye(classes)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return labels, probabilities, np.arange(count) // PER_CLUSTER


def one_by_one(
    labels: np.ndarray,
    probabilities: np.ndarray,
    clusters: np.ndarray,
    classes: tuple[str, ...],
    settings: Metrics,
) -> pd.DataFrame:
    """The intervals of scikit-learn's metrics, called for each resample."""

    def figures(rows: np.ndarray) -> dict[str, float]:
        return metrics.scores(labels[rows], probabilities[rows], classes)

    return metrics.bootstrap(figures, clusters, settings, 0)


def timed(work: Callable[[], pd.DataFrame], seconds: list[float]) -> pd.DataFrame:
    """The result of `work`, whose run time is added to `seconds`."""
    started = time.perf_counter()
    result = work()
    seconds.append(time.perf_counter() - started)
    return result


def peak(work: Callable[[], pd.DataFrame]) -> float:
    """The most memory that `work` held at a time, MB."""
    tracemalloc.start()
    work()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 1e6


if __name__ == "__main__":
    main()
