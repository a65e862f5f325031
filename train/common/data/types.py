"""The typed values that flow between steps. Nothing else does."""

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from conf.schema import Estimator
from datasets.common.tables import Table

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure
    from sklearn.model_selection import RandomizedSearchCV
    from sklearn.pipeline import Pipeline

    from train.common.fitting.checkpoint import Checkpoints


@functools.lru_cache(maxsize=4)
def _mapped(path: Path) -> np.ndarray:
    """One mapping per file: TensorFlow keeps what a dataset reads from, one for every epoch."""
    return np.load(path, mmap_mode="r")


@dataclass(frozen=True)
class Samples:
    """A verified dataset, before and after its pixels are decoded."""

    name: str
    classes: tuple[str, ...]
    table: pd.DataFrame
    """One row an image: path, file, label, split, sha256, cluster, width, height."""
    quarantined: pd.DataFrame
    """Unreadable images, left out: file and reason."""
    duplicates: pd.DataFrame
    """Byte-identical images in several official splits: file, sha256, split, label."""
    digest: str
    """Hex sha256 of the whole set."""
    pixels: Path | None = None
    """A `.npy` of uint8 (N, S, S, 3), row i for row i of `table`; set by the transform step."""

    def load(self) -> np.ndarray:
        """The pixels as a memory map: uint8 (N, S, S, 3), read from disk where it is indexed."""
        if self.pixels is None:
            raise ValueError("the transform step has not run: these samples have no pixels yet")
        return _mapped(self.pixels)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The pixels of `rows`, uint8 (len(rows), S, S, 3).

        The file is mapped for this call alone: what was read does not stay in memory.
        """
        if self.pixels is None:
            raise ValueError("the transform step has not run: these samples have no pixels yet")
        return np.load(self.pixels, mmap_mode="r")[rows]


@dataclass(frozen=True)
class Splits:
    """Row numbers of `samples.table` for each split.

    Disjoint, also by near-duplicate cluster when they were made by cluster.
    """

    samples: Samples
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    digest: str
    """Hex sha256 of who is where."""
    crossing: int
    """Near-duplicate clusters with images in more than one split."""

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """Class numbers of `rows`, int64 (len(rows),)."""
        return self.samples.table["label"].to_numpy(dtype=np.int64)[rows]

    def table(self) -> pd.DataFrame:
        """The splits as a table: file, label, split, sha256, cluster."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        columns = ["file", "label", "sha256", "cluster"]
        frames = [
            self.samples.table.iloc[rows][columns].assign(split=name)
            for name, rows in parts.items()
        ]
        return pd.concat(frames, ignore_index=True)


@dataclass(frozen=True)
class TableSplits:
    """Row numbers of `data.frame` for each split, disjoint by group."""

    data: Table
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    digest: str
    """Hex sha256 of who is where."""

    def inputs(self, rows: np.ndarray) -> pd.DataFrame:
        """The features of `rows`, a frame (len(rows), features)."""
        return self.data.frame.iloc[rows][list(self.data.features)]

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """Class numbers of `rows`, int64 (len(rows),)."""
        return self.data.frame["label"].to_numpy()[rows]

    def groups(self, rows: np.ndarray) -> np.ndarray:
        """What `rows` belong to, int64 (len(rows),)."""
        return self.data.frame["group"].to_numpy()[rows]

    def table(self) -> pd.DataFrame:
        """The splits as a table: row, label, group, split."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        columns = ["row", "label", "group"]
        frames = [self.data.frame.iloc[r][columns].assign(split=n) for n, r in parts.items()]
        return pd.concat(frames, ignore_index=True)


@dataclass(frozen=True)
class TableFitted:
    """The pipeline of the estimator whose search scored best, and the searches."""

    model: "Pipeline"
    estimator: Estimator
    searches: "dict[Estimator, RandomizedSearchCV]"
    """Unfitted, so that a cross-validation can repeat them on other rows."""
    scores: dict[Estimator, float]
    """The best score of each search on train, cross-validated by group."""
    seconds: float
    """Of the searches."""
    candidates: pd.DataFrame
    """One row a setting that was tried, best first: estimator, settings, score, spread, seconds."""


@dataclass(frozen=True)
class Fitted:
    """A trained model at its best epoch, and how it got there."""

    model: "keras.Model"
    history: pd.DataFrame
    """One row an epoch: epoch, phase, loss, accuracy, val_loss, val_accuracy, seconds."""
    best_epoch: int
    """1-based, over both phases."""
    checkpoints: "Checkpoints"
    """What a killed run resumes from; removed once the run is logged."""
    notes: list[str] = field(default_factory=list)
    """What a reader of the report must know of where the training started from."""


@dataclass(frozen=True)
class Report:
    """What is published of a run: metric names to values, tables and figures to look at."""

    scalars: dict[str, float]
    """Flat metrics; an interval stands beside its figure as `<name>_low` and `<name>_high`."""
    tables: dict[str, pd.DataFrame]
    figures: dict[str, "Figure"]
    notes: list[str] = field(default_factory=list)
    """What a reader must know before quoting a figure."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Short facts shown at the top: data, split sizes, best epoch."""
    captions: dict[str, str] = field(default_factory=dict)
    """What a reader sees in the figure or table of that name, where the name does not say it."""
    summary: list[str] = field(default_factory=list)
    """The first paragraph, a sentence each: how good, against what, how sure."""
    first: tuple[str, str] | None = None
    """The figure to look at first, and why."""
