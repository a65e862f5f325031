"""The evidence for a promotion: challenger and champion on the same test samples.

The difference of accuracy is paired, with an interval over whole near-duplicate clusters or groups
(`paired`). The challenger passes if the lower end of the interval is at least `-margin`: it is a
test of non-inferiority [1], because a retrained model that is as good as the champion is worth
having, and one that is worse by more than the margin is not.

1. Piaggio et al.: *Reporting of noninferiority and equivalence randomized trials*, JAMA 308 (2012).
"""

import json
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from conf.errors import UserError
from conf.schema import Metrics
from train.common.evaluation import metrics, paired

KEYS = ("file", "row")
"""The column that names a test sample: of images, of a table."""
GROUPS = ("cluster", "group")
"""The column of what is resampled as a whole; of images, the near-duplicate cluster."""


class NotShown(UserError):  # noqa: N818 -- the word for it in messages
    """The evidence for a promotion is missing, or speaks against it; a reason overrides it."""


@dataclass(frozen=True)
class Tested:
    """The predictions of one run for its N test samples, in the order of their names."""

    samples: pd.Index
    """File or row of each sample."""
    labels: np.ndarray
    """Class numbers (N,)."""
    probabilities: np.ndarray
    """(N, classes)."""
    groups: np.ndarray
    """What is resampled as a whole (N,)."""
    classes: tuple[str, ...]

    @classmethod
    def of(
        cls, predictions: pd.DataFrame, splits: pd.DataFrame, classes: tuple[str, ...]
    ) -> "Tested":
        """The tables `predictions.csv` and `splits.csv` of a run whose model has these `classes`.

        Raises `UserError` if the model names its classes in another order than its predictions.
        """
        named = tuple(name for name in predictions.columns if name in classes)
        if named != classes:
            raise UserError(
                f"its model names the classes {', '.join(classes)}, its predictions have the "
                f"columns {', '.join(named) or 'of none of them'}: every answer of the service "
                "would carry a wrong name; train it again"
            )
        key = next(name for name in KEYS if name in predictions)
        group = next(name for name in GROUPS if name in splits)
        table = predictions.set_index(key).join(splits.set_index(key)[group], how="left")
        table = table.sort_index()
        return cls(
            table.index,
            table["label"].map({name: number for number, name in enumerate(classes)}).to_numpy(),
            metrics.normalised(table[list(classes)]).to_numpy(),
            table[group].to_numpy(),
            classes,
        )


@dataclass(frozen=True)
class Evidence:
    """What is known of a version that becomes champion, or does not."""

    compared_with: str
    """The champion's version; empty if there was none."""
    samples: int
    groups: int
    data_digest: str
    accuracy: float
    """Of the challenger on test."""
    champion_accuracy: float | None = None
    difference: float | None = None
    """Accuracy of the challenger minus that of the champion; None without a champion."""
    low: float | None = None
    """Interval of the difference; without a champion, that of the accuracy."""
    high: float | None = None
    confidence: float = 0.95
    margin: float = 0.0
    only_champion_right: int | None = None
    only_challenger_right: int | None = None
    mcnemar_p: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the challenger is shown to be worse by at most the margin."""
        return self.difference is None or (self.low is not None and self.low >= -self.margin)

    def sentence(self) -> str:
        """The evidence in words."""
        level = f"{100 * self.confidence:.0f} % interval"
        if self.difference is None or self.low is None or self.high is None:
            span = "" if self.low is None else f" ({level} {self.low:.3f} to {self.high:.3f})"
            return f"accuracy {self.accuracy:.3f}{span} on {self.samples} test samples"
        return (
            f"accuracy {100 * self.difference:+.1f} points against version {self.compared_with} "
            f"({level} {100 * self.low:+.1f} to {100 * self.high:+.1f}, margin "
            f"{100 * self.margin:g}) on the same {self.samples} test samples; only the champion is "
            f"right for {self.only_champion_right}, only this version for "
            f"{self.only_challenger_right} (McNemar p = {self.mcnemar_p:.4f})"
        )

    def json(self) -> str:
        """The evidence as a tag of the version."""
        return json.dumps(asdict(self) | {"passed": self.passed})


def compared(
    champion: Tested, challenger: Tested, alone: Evidence, rule: Metrics, margin: float, seed: int
) -> Evidence:
    """`alone`, the evidence of the challenger's own run, with its difference to the champion.

    Raises `NotShown` unless both name the same classes and predicted the same samples.
    """
    if champion.classes != challenger.classes:
        raise NotShown(
            f"whose classes are {', '.join(challenger.classes)}, where those of the champion, "
            f"version {alone.compared_with}, are {', '.join(champion.classes)}, in this order"
        )
    same = champion.samples.equals(challenger.samples)
    if not same or not np.array_equal(champion.labels, challenger.labels):
        shared = len(champion.samples.intersection(challenger.samples))
        raise NotShown(
            f"whose test samples are not those of the champion, version {alone.compared_with}: "
            f"{len(challenger.samples)} and {len(champion.samples)}, of which they share {shared}. "
            "Train it with the champion's settings of split and dataset"
        )
    pair = paired.Pair(
        challenger.labels,
        champion.probabilities,
        challenger.probabilities,
        challenger.groups,
        challenger.classes,
    )
    found = paired.differences(pair, rule, seed).loc["accuracy"].astype(float)
    one, other, p = paired.mcnemar(pair)
    return replace(
        alone,
        accuracy=float(found["second"]),
        champion_accuracy=float(found["first"]),
        difference=float(found["difference"]),
        low=float(found["low"]),
        high=float(found["high"]),
        confidence=rule.confidence,
        margin=margin,
        only_champion_right=one,
        only_challenger_right=other,
        mcnemar_p=p,
    )
