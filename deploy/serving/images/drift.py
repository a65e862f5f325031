r"""Drift: whether a service answers recent images as its model answered validation images.

The service keeps, of its last `WINDOW` predictions, the class, the bins of confidence and
unlikeness, and whether the model abstained; no image, nothing of a person, and in memory only. With
shares \(p_i\) of the window and \(q_i\) of the validation images in bin \(i\), there are

- for each quantity the population stability index [1],
  \(\sum_i (p_i - q_i) \ln (p_i / q_i)\), which says how far it has moved;
- over confidence and unlikeness together the maximum mean discrepancy [2],
  \(\mathrm{MMD}^2 = (p - q)^\top K (p - q)\), with a Gaussian kernel of the ranks of the bins. A
  permutation test says how often it would be as large without drift. Counts are all it needs: to
  permute images between window and validation is to draw the counts of the window from the pooled
  ones without replacement. The index of the class is tested in the same way.

The p value is the smaller of both, times two. It takes predictions as independent, so many frames
of one patient raise an alarm sooner. With many predictions any difference is significant, so an
alarm needs an index of `MODERATE` as well.

1. Yurdakul: *Statistical Properties of Population Stability Index*, 2018.
2. Gretton et al.: *A Kernel Two-Sample Test*, JMLR 13 (2012).
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from datasets.common.images import Counts, Profile, Verdict

WINDOW = 1000
"""Predictions that are compared at most, the last ones."""
FEWEST = 50
"""Predictions that are compared at least."""
ALPHA = 0.002
"""An alarm needs a p value of at most this. It is small because a service is looked at again and
again: with it, few in 100 services without drift raise an alarm in their first 1,000 predictions
(`tests/benchmarks/drift.py`)."""
MODERATE = 0.1
"""An alarm needs a population stability index of at least this, by convention a moderate shift."""
PERMUTATIONS = 1999
WIDTH = 0.25
"""Standard deviation of the kernel, as a share of all ranks."""
SMOOTHING = 0.5
"""Images added to each bin, so that an empty bin has a logarithm (Jeffreys' prior)."""

NO_PROFILE = (
    "the model has no profile of validation images: its training is older, had fewer than 30 of "
    "them, or it is the mean of several networks"
)

Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From counts (..., cells) of validation images and of the window to a distance (...)."""


class Drift:
    """The last predictions of a service, and their comparison with `profile`. Thread-safe."""

    def __init__(self, profile: Profile | None, classes: Sequence[str]) -> None:
        self._profile = profile
        self._classes = list(classes)
        self._rows: deque[np.ndarray] = deque(maxlen=WINDOW)
        self._seen = 0
        self._lock = threading.Lock()
        self._compared = (-1, {"alarm": None})  # predictions seen until then, and what was found
        self._comparing = threading.Lock()

    def note(
        self, probabilities: np.ndarray, unlikeness: np.ndarray | None, found: Sequence[Verdict]
    ) -> None:
        """Count predictions: probabilities (N, classes), unlikeness (N,), N verdicts."""
        if self._profile is None:
            return
        rows = self._profile.rows(probabilities, unlikeness, found)
        with self._lock:
            self._rows.extend(rows)
            self._seen += len(rows)

    def report(self) -> dict[str, Any]:
        """What `/drift` answers; it is computed when there are new predictions."""
        if self._profile is None:
            return answer(NO_PROFILE, 0, None)
        with self._comparing:
            with self._lock:
                rows, seen = list(self._rows), self._seen
            if self._compared[0] != seen:
                self._compared = (seen, compared(self._profile, rows, self._classes))
            return self._compared[1]


def compared(
    profile: Profile, rows: Sequence[np.ndarray] | np.ndarray, classes: Sequence[str]
) -> dict[str, Any]:
    """`rows` (N, 4) of predictions against `profile`, as `/drift` answers it."""
    images = profile.counts.images
    if len(rows) < FEWEST:
        return answer(f"{len(rows)} predictions so far, {FEWEST} are needed", len(rows), images)
    before, now = profile.counts, profile.count(np.array(rows))
    quantities: dict[str, dict[str, Any]] = {
        name: {
            "psi": round(float(psi(old, new)), 4),
            "bins": bins,
            "validation": _shares(old),
            "window": _shares(new),
        }
        for name, bins, old, new in _quantities(profile, before, now, classes)
    }
    tests = (
        p_value(before.cells.ravel(), now.cells.ravel(), discrepancy(before.cells.shape)),
        p_value(before.classes, now.classes, psi),
    )
    p = min(1.0, len(tests) * min(tests))
    alarm = p <= ALPHA and max(each["psi"] for each in quantities.values()) >= MODERATE
    return answer(None, len(rows), images) | {
        "alarm": alarm, "p_value": round(p, 4), "quantities": quantities
    }  # fmt: skip


def answer(why: str | None, window: int, images: int | None) -> dict[str, Any]:
    """An answer of `/drift` without a comparison, and `why` there is none."""
    return {
        "alarm": None,
        "why": why,
        "window": window,
        "validation": images,
        "p_value": None,
        "quantities": {},
    }


def psi(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Population stability index (...) of counts (..., bins)."""
    q, p = (
        (each + SMOOTHING) / (each + SMOOTHING).sum(axis=-1, keepdims=True)
        for each in (before, now)
    )
    return np.sum((p - q) * np.log(p / q), axis=-1)


def discrepancy(shape: tuple[int, ...]) -> Statistic:
    """The squared maximum mean discrepancy of counts (..., cells) of a grid of `shape`, flat."""
    first, second = (_kernel(bins) for bins in shape)

    def statistic(before: np.ndarray, now: np.ndarray) -> np.ndarray:
        q, p = (each / each.sum(axis=-1, keepdims=True) for each in (before, now))
        gap = (p - q).reshape(*p.shape[:-1], *shape)
        return np.sum(gap * (first @ gap @ second), axis=(-2, -1))

    return statistic


def _kernel(bins: int) -> np.ndarray:
    """Gaussian kernel (bins, bins) of the middle ranks of bins."""
    ranks = (np.arange(bins) + 0.5) / bins
    return np.exp(-((ranks[:, None] - ranks) ** 2) / (2 * WIDTH**2))


def p_value(before: np.ndarray, now: np.ndarray, statistic: Statistic) -> float:
    """Share of permutations with a `statistic` at least as large as that of counts (cells,).

    The permutations are drawn with the same seed, so the same counts have the same p value.
    """
    rng = np.random.default_rng(0)
    pooled = before + now
    drawn = rng.multivariate_hypergeometric(
        pooled, int(now.sum()), PERMUTATIONS, method="marginals"
    )
    found = statistic(before, now)
    permuted = statistic(pooled - drawn, drawn)
    as_large = int(np.sum(permuted >= found - 1e-12))
    return (1 + as_large) / (1 + PERMUTATIONS)


def _quantities(
    profile: Profile, before: Counts, now: Counts, classes: Sequence[str]
) -> list[tuple[str, list[str], np.ndarray, np.ndarray]]:
    """Name, names of the bins, and both counts of each quantity that the model has."""
    found = [
        ("class", list(classes), before.classes, now.classes),
        ("confidence", _bins(profile.confidence), before.cells.sum(1), now.cells.sum(1)),
    ]
    if profile.unlikeness:
        bins = _bins(profile.unlikeness)
        found.append(("unlikeness", bins, before.cells.sum(0), now.cells.sum(0)))
    if profile.abstains:
        found.append(("abstained", ["no", "yes"], before.by_abstention, now.by_abstention))
    return found


def _bins(edges: tuple[float, ...]) -> list[str]:
    if not edges:
        return ["all"]
    between = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    return [f"below {edges[0]:g}", *between, f"from {edges[-1]:g}"]


def _shares(counts: np.ndarray) -> list[float]:
    return [round(float(each), 4) for each in counts / counts.sum()]
