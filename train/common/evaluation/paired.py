r"""Paired comparison of two models on the same samples.

Both models are evaluated on the same bootstrap resamples of whole clusters, so what makes a
resample hard for both cancels out, and the interval of a difference is narrower than two separate
intervals suggest. McNemar's test [1] counts the samples that only one model predicts rightly; under
the hypothesis of equal accuracy, the smaller count is binomial with \(p = 1/2\). It takes samples
as independent, which near-copies are not: where there are clusters, trust the interval.

1. McNemar: *Note on the sampling error of the difference between correlated proportions*,
   Psychometrika 12 (1947); the exact form.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from conf.schema import Metrics
from train.common.evaluation import metrics, resampling


@dataclass(frozen=True)
class Pair:
    """Predictions of two models for the same N samples."""

    labels: np.ndarray
    """Class numbers (N,)."""
    first: np.ndarray
    """Probabilities (N, classes) of the reference."""
    second: np.ndarray
    """Probabilities (N, classes) of the model that is compared with it."""
    groups: np.ndarray
    """Near-duplicate cluster of each sample (N,)."""
    classes: tuple[str, ...]

    @property
    def right(self) -> tuple[np.ndarray, np.ndarray]:
        """Which samples the first and the second model predict rightly, bool (N,) each."""
        one, two = (given.argmax(axis=1) == self.labels for given in (self.first, self.second))
        return one, two


def differences(pair: Pair, settings: Metrics, seed: int) -> pd.DataFrame:
    """One row per metric of `metrics.scores`: first, second, difference, low, high.

    The difference is second minus first, with its interval over whole groups.
    """
    classes, groups, resamples = pair.classes, pair.groups, settings.bootstrap
    table = pd.DataFrame(
        {
            "first": metrics.scores(pair.labels, pair.first, classes),
            "second": metrics.scores(pair.labels, pair.second, classes),
        }
    )
    one, two = (
        resampling.scores(pair.labels, given, groups, classes, resamples, seed)
        for given in (pair.first, pair.second)
    )
    tail = (1 - settings.confidence) / 2
    table["difference"] = table["second"] - table["first"]
    table["low"], table["high"] = (two - one).quantile(tail), (two - one).quantile(1 - tail)
    return table


def mcnemar(pair: Pair) -> tuple[int, int, float]:
    """Samples that only the first model predicts rightly, only the second, and the exact p."""
    one, two = pair.right
    alone, other = int((one & ~two).sum()), int((two & ~one).sum())
    p = binomtest(alone, alone + other).pvalue if alone + other else 1.0
    return alone, other, float(p)


def verdict(pair: Pair, table: pd.DataFrame, names: tuple[str, str], confidence: float) -> str:
    """The sentence on the accuracy of the two models `names`, from `differences`."""
    value, low, high = table.loc["accuracy", ["difference", "low", "high"]]
    alone, other, p = mcnemar(pair)
    span = (
        f"{100 * confidence:.0f} % interval of the difference {100 * low:+.1f} to "
        f"{100 * high:+.1f} points"
    )
    counts = f"Only {names[0]} is right for {alone} images, only {names[1]} for {other}"
    tested = f"McNemar p {'< 0.0001' if p < 1e-4 else f'= {p:.4f}'}"
    if low <= 0 <= high:
        said = f"No difference in accuracy is shown between {names[0]} and {names[1]}"
        return f"{said} ({span}). {counts} ({tested})."
    better, worse = names[::-1] if value > 0 else names
    said = f"{better} is {100 * abs(value):.1f} points more accurate than {worse}"
    return f"{said} ({span}). {counts} ({tested})."
