"""Tables of benchmarks in Markdown, with intervals."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from conf.schema import Metrics
from train.common.evaluation import metrics

SETTINGS = Metrics(bootstrap=1000)


def in_turns(ways: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each of `ways`, called one after the other in each round."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            started = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - started)
    return {name: 1000 * statistics.median(spent) for name, spent in seconds.items()}


def show(head: list[str], lines: list[list[str]]) -> None:
    """Print a table."""
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for line in lines:
        print("| " + " | ".join(line) + " |")


def spread(value: float, low: float, high: float) -> str:
    """A figure and its interval."""
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def judge(
    answers: dict[str, np.ndarray],
    table: pd.DataFrame,
    classes: tuple[str, ...],
    what: str = "answers on test",
) -> None:
    """Print accuracy and macro F1 of each, and the paired difference to the first.

    `answers` are probabilities (len(table), classes) by name; clusters are drawn whole.
    """
    labels, clusters = table["label"].to_numpy(), table["cluster"].to_numpy()
    first, *_ = answers
    lines = []
    for name, probabilities in answers.items():
        figures = metrics.intervals(labels, probabilities, clusters, classes, SETTINGS, 0)
        cells = [spread(*row) for row in figures.loc[["accuracy", "f1_macro"]].to_numpy()]
        right = (probabilities.argmax(axis=1) == labels).astype(float)
        gain = right - (answers[first].argmax(axis=1) == labels)
        difference = metrics.interval(
            lambda rows, gain=gain: gain[rows].mean(),  # type: ignore[misc]
            clusters, SETTINGS, 0,
        )  # fmt: skip
        lines.append([name, *cells, spread(*difference)])
    show(
        [f"{len(labels)} {what}", "accuracy", "macro F1", "accuracy minus the first's"],
        lines,
    )
