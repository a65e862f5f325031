r"""The profile of a model's answers to validation images, which a service compares its own with.

A service knows four quantities of each image without keeping it: the predicted class, the
confidence (the largest probability), unlikeness, and whether the model abstained. Training counts
validation images by class, by abstention, and by confidence and unlikeness together, in bins that
hold a tenth of them each. Only these counts and the edges of the bins are stored with the model:
at most 100 cells, and nothing of a single image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datasets.common.images.abstention import Thresholds, Verdict, verdicts

BINS = 10
"""Bins of confidence, and of unlikeness."""
FEW_IMAGES = 30
"""Fewer validation images than these make no profile."""
DIGITS = 4
"""Significant digits of an edge. Finer bins would count the rounding of another runtime as drift,
where most confidences are nearly 1."""


@dataclass(frozen=True, eq=False)
class Counts:
    """How many images there are of each kind."""

    classes: np.ndarray
    """By predicted class, int64 (classes,)."""
    cells: np.ndarray
    """By bin of confidence and bin of unlikeness, int64 (confidence bins, unlikeness bins)."""
    abstained: int
    """Images for which the model abstained; 0 if it never does."""

    @property
    def images(self) -> int:
        """All of them."""
        return int(self.classes.sum())

    @property
    def by_abstention(self) -> np.ndarray:
        """Images that got a prediction, and those that got none, int64 (2,)."""
        return np.array([self.images - self.abstained, self.abstained])


@dataclass(frozen=True, eq=False)
class Profile:
    """The bins of one model, and the counts of its validation images."""

    confidence: tuple[float, ...]
    """Edges between the bins of confidence, ascending; a value on an edge is in the upper bin."""
    unlikeness: tuple[float, ...]
    """The same of unlikeness; empty for a model that does not measure it."""
    abstains: bool
    """Whether the model may abstain."""
    counts: Counts

    @classmethod
    def of(cls, known: Mapping[str, Any] | None) -> "Profile | None":
        """The entry `drift` of a model's metadata; None for a model without."""
        if not known:
            return None
        counts = Counts(np.array(known["classes"]), np.array(known["cells"]), known["abstained"])
        confidence, unlikeness = tuple(known["confidence"]), tuple(known["unlikeness"])
        return cls(confidence, unlikeness, known["abstains"], counts)

    def metadata(self) -> dict[str, Any]:
        """What `of` reads, in plain numbers and lists."""
        return {
            "confidence": list(self.confidence),
            "unlikeness": list(self.unlikeness),
            "abstains": self.abstains,
            "classes": self.counts.classes.tolist(),
            "cells": self.counts.cells.tolist(),
            "abstained": self.counts.abstained,
        }

    def rows(
        self, probabilities: np.ndarray, unlikeness: np.ndarray | None, found: Sequence[Verdict]
    ) -> np.ndarray:
        """What is counted of N images: class, the two bins and abstained, int64 (N, 4)."""
        return _rows(self.confidence, self.unlikeness, probabilities, unlikeness, found)

    def count(self, rows: np.ndarray) -> Counts:
        """The counts of `rows` (N, 4)."""
        bins = (len(self.confidence) + 1, len(self.unlikeness) + 1)
        return _count(rows, len(self.counts.classes), bins)


def profile(
    thresholds: Thresholds | None,
    classes: Sequence[str],
    probabilities: np.ndarray,
    unlikeness: np.ndarray | None,
) -> Profile | None:
    """The profile of probabilities (N, classes) and unlikeness (N,); None of too few images."""
    if len(probabilities) < FEW_IMAGES:
        return None
    found = verdicts(thresholds, classes, probabilities, unlikeness)
    confidence = _edges(probabilities.max(axis=1))
    unlike = () if unlikeness is None else _edges(unlikeness)
    rows = _rows(confidence, unlike, probabilities, unlikeness, found)
    counts = _count(rows, len(classes), (len(confidence) + 1, len(unlike) + 1))
    return Profile(confidence, unlike, found[0].abstained is not None, counts)


def _edges(values: np.ndarray) -> tuple[float, ...]:
    """Quantiles of `values`, rounded; those that separate nothing are left out."""
    quantiles = np.quantile(values, np.arange(1, BINS) / BINS)
    low, high = _rounded(values.min()), _rounded(values.max())
    return tuple(sorted({edge for edge in map(_rounded, quantiles) if low < edge < high}))


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _rows(
    confidence: tuple[float, ...],
    unlike: tuple[float, ...],
    probabilities: np.ndarray,
    unlikeness: np.ndarray | None,
    found: Sequence[Verdict],
) -> np.ndarray:
    measured = np.zeros(len(probabilities)) if unlikeness is None else unlikeness
    return np.stack(
        [
            probabilities.argmax(axis=1),
            np.searchsorted(confidence, probabilities.max(axis=1), side="right"),
            np.searchsorted(unlike, measured, side="right"),
            np.array([bool(each.abstained) for each in found]),
        ],
        axis=1,
    ).astype(np.int64)


def _count(rows: np.ndarray, classes: int, bins: tuple[int, int]) -> Counts:
    cells = np.zeros(bins, np.int64)
    np.add.at(cells, (rows[:, 1], rows[:, 2]), 1)
    return Counts(np.bincount(rows[:, 0], minlength=classes), cells, int(rows[:, 3].sum()))
