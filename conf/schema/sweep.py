"""Settings of a sweep: the space that is searched, and how many trainings it may take."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class Dimension:
    """The values that one setting may take: a range, or choices."""

    low: float | None = None
    """Smallest value of a range."""
    high: float | None = None
    """Largest value of a range."""
    log: bool = False
    """Whether the logarithm of the value is drawn evenly; a range from 0 has none."""
    step: float | None = None
    """Distance between the values of a range; `null` takes any value, of integers any integer."""
    choices: list[Any] = field(default_factory=list)
    """The values, in place of a range."""


@dataclass
class Sweep:
    """Trainings with drawn settings, by Optuna; the best is then trained as an ordinary run.

    The value of a trial is `fit.monitor` of its best epoch. No trial sees the test images.
    """

    name: str = MISSING
    """Name of the journal below `<env.cache>/sweeps`; another name starts another sweep."""
    space: dict[str, Dimension] = MISSING
    """The settings to search, by their names on the command line, such as `model.dropout`: any of
    `model`, `fit` and `transform`."""
    trials: int = 20
    """Number of trials. A larger number, later, continues the sweep."""
    seeds: list[int] = field(default_factory=list)
    """Each trial trains once with each of these seeds, and its value is their mean; empty: `seed`.

    The best then runs with `seed` if it is one of them, else with the first."""
    folds: list[int] = field(default_factory=list)
    """The same for folds of `split.folds`; empty: the first, or `split.fold`."""
    prune: bool = True
    """Whether a trial stops whose best value so far is worse than the median of the others at the
    same epoch. Of several seeds or folds, only the first is compared."""
    prune_after: int = 3
    """Epochs in which no trial is stopped."""
    compared: int = 4
    """Finished trials before one is stopped."""
    startup: int = 8
    """Trials drawn at random, before Optuna's TPE proposes where the good ones were."""
    trial: int | None = None
    """The trial that a run trains; the sweep sets it."""
