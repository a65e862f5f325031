"""The values that flow between the steps of a pipeline."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import pandas as pd

from conf.schema import Estimator
from datasets.common.contract import Images
from datasets.common.images import Profile, Thresholds
from datasets.common.types import Dataset
from models.unlikeness import Reference

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure
    from sklearn.model_selection import RandomizedSearchCV
    from sklearn.pipeline import Pipeline


@functools.lru_cache(maxsize=4)
def _mapped(path: Path) -> np.ndarray:
    """One mapping per file, because TensorFlow would keep one for every epoch."""
    return np.load(path, mmap_mode="r")


@dataclass(frozen=True, kw_only=True)
class DecodedImages(Images):
    """A verified set of images with their pixels on disk."""

    pixels: Path
    """A `.npy` of uint8 (N, S, S, 3), row i for row i of `frame`."""

    def load(self) -> np.ndarray:
        """The pixels as a memory map: uint8 (N, S, S, 3), read from disk where it is indexed."""
        return _mapped(self.pixels)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The pixels of `rows`, uint8 (len(rows), S, S, 3).

        The file is mapped for this call alone, so its pages do not stay in memory.
        """
        return np.load(self.pixels, mmap_mode="r")[rows]


Data = TypeVar("Data", bound=Dataset)


@dataclass(frozen=True)
class Splits(Generic[Data]):
    """Row numbers of `data.frame` for each split.

    They are disjoint. If they were drawn by group (near-duplicate cluster of images), no group is
    in two splits.
    """

    data: Data
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    digest: str
    """Hex sha256 of which sample is in which split."""
    crossing: int = 0
    """Groups with samples in more than one split."""

    @property
    def parts(self) -> dict[str, np.ndarray]:
        """The rows of each split, by its name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """Class numbers of `rows`, int64 (len(rows),)."""
        return self.data.frame["label"].to_numpy(dtype=np.int64)[rows]

    def groups(self, rows: np.ndarray) -> np.ndarray:
        """Group numbers of `rows`, int64 (len(rows),)."""
        return self.data.frame[self.data.GROUP_COLUMN].to_numpy()[rows]

    def table(self) -> pd.DataFrame:
        """The splits as a table: columns that name a sample, its label, its group and its split."""
        columns = list(self.data.SPLIT_COLUMNS)
        frames = [
            self.data.frame.iloc[rows][columns].assign(split=name)
            for name, rows in self.parts.items()
        ]
        return pd.concat(frames, ignore_index=True)


@dataclass(frozen=True)
class TrainedModel:
    """A network at its best epoch, and the history of its training."""

    model: "keras.Model"
    history: pd.DataFrame
    """One row per epoch: epoch, phase, loss, accuracy, val_loss, val_accuracy, seconds."""
    best_epoch: int
    """1-based, over all phases."""
    clean_up: Callable[[], None]
    """Removes the checkpoints; call it when everything is logged. Those of a trial of a sweep stay,
    because the run of the best trial continues them."""
    notes: list[str] = field(default_factory=list)
    """Warnings for the report: the model that the training started from, its thresholds."""
    temperature: float = 1.0
    """What the logits of the trained network were divided by."""
    reference: Reference | None = None
    """What unlikeness is measured against; None: it is not measured."""
    thresholds: Thresholds | None = None
    """When the model abstains; None: never."""
    validate: Callable[[], np.ndarray] | None = None
    """Of a trial of a sweep: probabilities (V, classes) of the validation images, in the order of
    their rows; on stored activations, if there are any. It keeps the inputs in memory."""
    profile: Profile | None = None
    """What the service compares its predictions with; None: it does not."""
    operating: tuple[float, ...] = ()
    """For each class, the probability at its operating point; see `evaluation.operating`."""


@dataclass(frozen=True)
class TrainedPipeline:
    """The pipeline of the estimator whose search scored best, and all searches."""

    model: "Pipeline"
    estimator: Estimator
    searches: "dict[Estimator, RandomizedSearchCV]"
    """Not fitted, so that a cross-validation can repeat them on other rows."""
    scores: dict[Estimator, float]
    """The best score of each search on train, cross-validated by group."""
    seconds: float
    """Run time of the searches."""
    candidates: pd.DataFrame
    """One row per candidate, best first: estimator, settings, score, spread, seconds."""


@dataclass(frozen=True)
class Compared:
    """The predictions of the outer folds."""

    answers: dict[Estimator, np.ndarray]
    """Probabilities (N, classes) of all rows; no search saw the groups that it predicts."""
    choices: list[Estimator]
    """The estimator whose search scored best, for each outer fold."""
    held_out: np.ndarray
    """Probabilities (N, classes) of all rows, predicted by the estimator chosen in their fold."""
    seconds: dict[Estimator, float]
    """Run time of the searches in all outer folds."""


@dataclass(frozen=True)
class Predictions:
    """Predictions of one model, or of all folds, for images that they were not trained on."""

    frame: pd.DataFrame
    """One row per image: file, label (a class number), cluster, group."""
    probabilities: np.ndarray
    """(N, classes)."""
    classes: tuple[str, ...]
    unlikeness: np.ndarray | None = None
    """(N,); None if the model does not measure it."""

    @property
    def labels(self) -> np.ndarray:
        """Class numbers, int64 (N,)."""
        return self.frame["label"].to_numpy(dtype=np.int64)


@dataclass(frozen=True)
class Report:
    """The published results of a run: metrics, tables and figures."""

    scalars: dict[str, float]
    """Metrics by name; the interval of a metric is `<name>_low` and `<name>_high`."""
    tables: dict[str, pd.DataFrame]
    figures: dict[str, "Figure"]
    notes: list[str] = field(default_factory=list)
    """Warnings that a reader needs before quoting a figure."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Short facts shown at the top: data, split sizes, best epoch."""
    captions: dict[str, str] = field(default_factory=dict)
    """Explanation of the figure or table of that name, if the name does not explain it."""
    summary: list[str] = field(default_factory=list)
    """Sentences of the first paragraph: accuracy, comparison with chance, uncertainty."""
    first: tuple[str, str] | None = None
    """The figure to look at first, and why."""
