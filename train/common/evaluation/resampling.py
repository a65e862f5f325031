r"""Bootstrap resamples of whole clusters, and the metrics of a classifier in all of them at once.

A resample draws clusters with replacement, so it is a vector of row weights: how often each row was
drawn. With weights \(W\) of shape (R, N), the counts of all R resamples are one matrix product,
losses are weighted means, and the areas below the curves are cumulative weights along the scores,
which are sorted once.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

CELLS = 1 << 15
"""Weights held at a time, or one resample: 256 kB stay in the cache of a core, and memory small."""


def rows(groups: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Row numbers of each resample: whole `groups` (N,), drawn with replacement."""
    codes = _codes(groups)
    members = np.split(np.argsort(codes, kind="stable"), np.bincount(codes).cumsum()[:-1])
    for chosen in _draws(codes, resamples, seed):
        yield np.concatenate([members[i] for i in chosen])


def weights(groups: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """The same resamples as row weights: float64 (r, N), in parts of at most `CELLS` weights."""
    codes = _codes(groups)
    draws, part = _draws(codes, resamples, seed), max(1, CELLS // len(codes))
    for start in range(0, resamples, part):
        counts = np.zeros((min(part, resamples - start), codes.max() + 1))  # (r, groups)
        for count in counts:
            count += np.bincount(next(draws), minlength=len(count))
        yield counts.take(codes, axis=1)


def _codes(groups: np.ndarray) -> np.ndarray:
    return np.unique(groups, return_inverse=True)[1]


def _draws(codes: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    rng, count = np.random.default_rng(seed), int(codes.max()) + 1
    for _ in range(resamples):
        yield rng.integers(0, count, count)


def scores(
    labels: np.ndarray,
    probabilities: np.ndarray,
    groups: np.ndarray,
    classes: tuple[str, ...],
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """`metrics.scores` of each resample: one row a resample, one column a metric.

    They are the values that scikit-learn gives for the `rows` of the resample.
    """
    sample = _Sample.of(labels, probabilities)
    parts = [_scored(sample, each, classes) for each in weights(groups, resamples, seed)]
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True)
class _Ranking:
    """One class against the rest, from the highest score to the lowest."""

    order: np.ndarray
    """Row numbers (N,)."""
    positive: np.ndarray
    """Whether the rows of `order` are of the class (N,)."""
    ends: np.ndarray | slice
    """The last place of each distinct score: rows with equal scores count at once."""

    @classmethod
    def of(cls, positive: np.ndarray, scored: np.ndarray) -> "_Ranking":
        order = np.argsort(-scored, kind="stable")
        last = np.append(np.diff(scored[order]) != 0, True)
        return cls(order, positive[order], slice(None) if last.all() else np.flatnonzero(last))

    def areas(self, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """ROC AUC and average precision (r,) for weights (r, N)."""
        weighted = given.take(self.order, axis=1)
        above = weighted.cumsum(axis=1)[:, self.ends]  # (r, distinct scores)
        weighted *= self.positive
        hits = weighted.cumsum(axis=1)[:, self.ends]
        gained = np.diff(hits, axis=1, prepend=0)
        false = above - hits
        area = (np.diff(false, axis=1, prepend=0) * (hits - gained / 2)).sum(axis=1)
        # A score that was not drawn gains nothing, also above the first row that was.
        precision = np.divide(hits, above, out=np.zeros_like(hits), where=above > 0)
        positives, negatives = hits[:, -1], false[:, -1]
        return area / (positives * negatives), (gained * precision).sum(axis=1) / positives


@dataclass(frozen=True)
class _Sample:
    """What all resamples share."""

    counted: np.ndarray
    """(N, 3 K): one-hot label, answer, and label where the answer is right."""
    losses: np.ndarray
    """(N, 2): log loss and Brier score of each row."""
    rankings: list[_Ranking]

    @classmethod
    def of(cls, labels: np.ndarray, probabilities: np.ndarray) -> "_Sample":
        count = probabilities.shape[1]
        answers, each = probabilities.argmax(axis=1), np.eye(count)
        actual = each[labels]
        right = actual * (answers == labels)[:, None]
        tiny = np.finfo(probabilities.dtype).eps
        own = np.clip(probabilities[np.arange(len(labels)), labels], tiny, 1 - tiny)
        brier = ((probabilities - actual) ** 2).sum(axis=1) / (2 if count == 2 else 1)
        return cls(
            counted=np.hstack([actual, each[answers], right]),
            losses=np.stack([-np.log(own), brier], axis=1),
            rankings=[_Ranking.of(labels == k, probabilities[:, k]) for k in range(count)],
        )


def _scored(sample: _Sample, given: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """The metrics of the resamples with the weights `given` (r, N)."""
    total = given.sum(axis=1)
    support, predicted, hits = np.split(given @ sample.counted, 3, axis=1)  # (r, K)
    log_losses, briers = (given @ sample.losses).T / total
    with np.errstate(divide="ignore", invalid="ignore"):  # a resample may lack a class: NaN
        areas = [ranking.areas(given) for ranking in sample.rankings]
        aucs, precisions = (np.stack(each, axis=1) for each in zip(*areas, strict=True))
        negatives = total[:, None] - support
        present, found = support > 0, (support > 0) & (negatives > 0)
        by_class = {
            "precision": np.where(predicted > 0, hits / predicted, 0),
            "recall": hits / support,
            "f1": 2 * hits / (support + predicted),
            "specificity": 1 - (predicted - hits) / negatives,
            "roc_auc": aucs,
            "average_precision": precisions,
        }
        columns = {
            "accuracy": hits.sum(axis=1) / total,
            "mcc": _matthews(support, predicted, hits, total),
            "log_loss": log_losses,
            "brier": briers,
        }
        for name, values in by_class.items():
            averaged = name in ("precision", "recall", "f1")
            used = present if averaged else found
            columns[f"{name}_macro"] = _mean(values, used)
            if averaged:
                columns[f"{name}_weighted"] = _mean(values, support)
            for k, class_name in enumerate(classes):
                columns[f"{name}_{class_name}"] = np.where(used[:, k], values[:, k], np.nan)
    return pd.DataFrame(columns)


def _mean(values: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Means (r,) of (r, K) with weights `given` (r, K); NaN where all of them are 0."""
    return (np.where(given > 0, values, 0) * given).sum(axis=1) / given.sum(axis=1)


def _matthews(
    support: np.ndarray, predicted: np.ndarray, hits: np.ndarray, total: np.ndarray
) -> np.ndarray:
    """Matthews correlation (r,) of counts (r, K); 0 where it is not defined, as scikit-learn."""
    both = hits.sum(axis=1) * total - (support * predicted).sum(axis=1)
    spread = (total**2 - (predicted**2).sum(axis=1)) * (total**2 - (support**2).sum(axis=1))
    return np.where(spread > 0, both / np.sqrt(spread), 0)
