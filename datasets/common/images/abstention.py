r"""When a classifier of images abstains: one rule for the service and for batch scoring.

There are two reasons. The image is unlike the training images, if its unlikeness, an output of the
model, is over a threshold. Or the model is not sure: the prediction set

$$ C(x) = \{c : 1 - p_c(x) \le q_c\} $$

has not exactly one class. The training chooses all thresholds on validation images
(`train.common.fitting.calibrate`), and they are stored with the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

UNLIKE, NOT_SURE = "unlike_training", "not_sure"
REASONS = (UNLIKE, NOT_SURE)


@dataclass(frozen=True)
class Verdict:
    """Whether a model abstains for one image."""

    abstained: bool | None = None
    """None for a model without thresholds, as those of older trainings."""
    reason: str | None = None
    """One of `REASONS`, if the model abstains."""
    set: list[str] | None = None
    """Classes of the prediction set; None for a model without thresholds of classes."""


UNJUDGED = Verdict()
"""The verdict of a model without thresholds."""


@dataclass(frozen=True)
class Thresholds:
    """The thresholds of one model."""

    unlikeness: float | None = None
    """Largest unlikeness of an image that is predicted; None: not judged."""
    classes: tuple[float, ...] | None = None
    """For each class, the largest 1 - probability with which it is in the set; None: no sets."""

    @classmethod
    def of(cls, known: Mapping[str, Any] | None) -> "Thresholds | None":
        """The entry `abstention` of a model's metadata; None for a model without."""
        if not known:
            return None
        classes = known.get("classes")
        return cls(known.get("unlikeness"), None if classes is None else tuple(classes))

    def metadata(self) -> dict[str, Any]:
        """What `of` reads, in plain numbers and lists; a threshold that is None is left out."""
        classes = None if self.classes is None else list(self.classes)
        known = {"unlikeness": self.unlikeness, "classes": classes}
        return {name: value for name, value in known.items() if value is not None}

    def sets(self, probabilities: np.ndarray) -> np.ndarray | None:
        """Which classes are in the prediction sets, bool (N, classes)."""
        return None if self.classes is None else 1 - probabilities <= np.array(self.classes)


def verdicts(
    thresholds: Thresholds | None,
    classes: Sequence[str],
    probabilities: np.ndarray,
    unlikeness: np.ndarray | None,
) -> list[Verdict]:
    """The verdict on each of N images, of probabilities (N, classes) and unlikeness (N,)."""
    if thresholds is None:
        return [UNJUDGED] * len(probabilities)
    most, sets, found = thresholds.unlikeness, thresholds.sets(probabilities), []
    for row in range(len(probabilities)):
        members = None
        if sets is not None:
            members = [name for name, inside in zip(classes, sets[row], strict=True) if inside]
        if most is not None and unlikeness is not None and not unlikeness[row] <= most:
            found.append(Verdict(True, UNLIKE, members))
        elif members is not None and len(members) != 1:
            found.append(Verdict(True, NOT_SURE, members))
        else:
            found.append(Verdict(False, None, members))
    return found
