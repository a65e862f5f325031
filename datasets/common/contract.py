"""The contract of image datasets: what is verified before a model trains on them.

```mermaid
flowchart LR
    T[table of files] --> C{counts as expected}
    C --> D[read, decode, hash]
    D -->|unreadable, too small| Q[quarantined, with a reason]
    D --> S{share of bad images}
    S --> E{no class empty}
    E --> U{no image in two classes}
    U --> L[limit] --> I[Images]
```

A violation raises `conf.errors.UserError`, which names the folder, the value and the way out.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from conf.errors import UserError
from conf.schema import ImageDataset, Series
from datasets.common import digests, series
from datasets.common.images import Window
from datasets.common.types import SPLITS, Dataset

log = logging.getLogger(__name__)

COLUMNS = [
    "path", "file", "label", "split", "sha256", "cluster", "group", "source", "width", "height",
]  # fmt: skip
NO_GROUP = -1
"""In the column `group`: nothing names a series or a patient of the image."""
ALL = "all"
"""Stands for the whole set where a split could be named."""
SHOWN = 5
"""Examples in a message."""


@dataclass(frozen=True, kw_only=True)
class Images(Dataset):
    """A verified set of images. It holds no pixels; column `path` says where they are.

    `frame` has one row an image: path (absolute), file (relative), label (int), split (train,
    validation, test or ""), sha256, cluster (int, equal for near-duplicates), group (int, equal for
    images of a series or a patient, which the manifest, the file or `dataset.series` names;
    `NO_GROUP` without), source (as the manifest names it, or ""), width, height. Each frame of a
    multi-frame DICOM file is an image, and path and file name it: `scan.dcm#3`.
    `quarantined` has the columns file and reason. `digest` covers files, contents, labels, splits.
    """

    SPLIT_COLUMNS: ClassVar[tuple[str, ...]] = (
        "file", "label", "sha256", "cluster", "group", "source",
    )  # fmt: skip
    GROUP_COLUMN: ClassVar[str] = "cluster"

    duplicates: pd.DataFrame
    """Byte-identical images in several official splits: file, sha256, split, label."""


def verify(
    table: pd.DataFrame,
    rejected: pd.DataFrame,
    config: ImageDataset,
    cache: Path,
    expected: dict[str, int] | None = None,
) -> Images:
    """Check `table` (path, file, label, split, group, source) and complete it.

    `rejected` (file, reason) lists files that were left out earlier. `expected` is the number of
    files per split, per class, or of the whole set (`ALL`). Raises `UserError` for a violation.
    """
    if len(config.classes) < 2:
        raise UserError(
            f"dataset.classes={list(config.classes)}: a classifier needs two classes or more"
        )
    if table.empty:
        raise UserError(f"dataset {config.name} has no images")
    _check_counts(table, expected or {}, list(config.classes))
    window = Window(config.dicom.centre, config.dicom.width)
    measured = digests.measure(table["path"].tolist(), config.max_pixels, cache, window)
    # A file of several frames is several images.
    table = table.iloc[measured["row"]].reset_index(drop=True)
    table = pd.concat([table, measured], axis=1)
    table["path"] += table["frame"]
    table["file"] += table["frame"]
    table, bad = _quarantine(table, config.min_side)
    quarantined = pd.concat([rejected, bad], ignore_index=True).astype(object)
    _check_share(quarantined, len(table), config)
    _check_classes(table, config)
    _check_labels(table, config)
    if config.series == Series.adjacent:
        table["series"] = _with_adjacent(table, config, window, cache)
    looks, groups, named = (table[name].tolist() for name in ("look", "group", "series"))
    table["cluster"] = digests.clusters(looks, groups, config.hash_distance, named)
    known = table["group"].where(table["group"] != "", table["series"])
    # Numbers, because a name may be that of a patient, and splits are logged.
    table["group"] = pd.factorize(known.replace("", None))[0].astype(np.int64)
    table = _limited(table, config)[COLUMNS].reset_index(drop=True)
    duplicates = _duplicates(table)
    log.info(
        "%s: %d images, %d quarantined, %d near-duplicate clusters of two or more",
        config.name, len(table), len(quarantined), (table["cluster"].value_counts() > 1).sum(),
    )  # fmt: skip
    return Images(
        name=config.name,
        classes=tuple(config.classes),
        frame=table,
        quarantined=quarantined,
        duplicates=duplicates,
        digest=digests.digest(table),
    )


def _check_counts(table: pd.DataFrame, expected: dict[str, int], classes: list[str]) -> None:
    by_split, by_class = table["split"].value_counts(), table["label"].value_counts()
    for name, count in expected.items():
        if name == ALL:
            where, found = "the set", len(table)
        elif name in SPLITS.values():
            where, found = f"split {name}", by_split.get(name, 0)
        elif name in classes:
            where, found = f"class {name}", by_class.get(classes.index(name), 0)
        else:
            continue  # a class of the set that dataset.classes leaves out
        if found != count:
            raise UserError(
                f"{where} has {found} files, expected {count} (dataset.expected.{name}): the "
                "download is incomplete, or it is another version of the set; "
                "dataset.expected=null accepts any number"
            )


def _quarantine(table: pd.DataFrame, min_side: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    small = (table["reason"] == "") & (table[["width", "height"]].min(axis=1) < min_side)
    size = table["width"].astype(str) + " x " + table["height"].astype(str)
    table.loc[small, "reason"] = size + f": a side under {min_side} pixels (dataset.min_side)"
    bad = table.loc[table["reason"] != "", ["file", "reason"]]
    for file, reason in bad.head(SHOWN).itertuples(index=False):
        log.warning("quarantined: %s: %s", file, reason)
    return table[table["reason"] == ""].reset_index(drop=True), bad


def _check_share(quarantined: pd.DataFrame, good: int, config: ImageDataset) -> None:
    bad = len(quarantined)
    if bad <= config.max_bad_share * (good + bad):
        return
    rows = quarantined.head(SHOWN).itertuples(index=False)
    shown = "".join(f"\n  {file}: {reason}" for file, reason in rows)
    raise UserError(
        f"{bad} of {good + bad} images cannot be used, more than "
        f"dataset.max_bad_share={config.max_bad_share}; repair or remove "
        f"them, or raise this share:{shown}"
        + (f"\n  and {bad - SHOWN} more" if bad > SHOWN else "")
    )


def _check_classes(table: pd.DataFrame, config: ImageDataset) -> None:
    for split in sorted(table["split"].unique()) or [""]:
        counts = table.loc[table["split"] == split, "label"].value_counts()
        for label, name in enumerate(config.classes):
            if not counts.get(label, 0):
                where = f"split {split}" if split else f"dataset {config.name}"
                raise UserError(
                    f"{where} has no usable image of class {name}; add some, or take the class "
                    "out of dataset.classes"
                )


def _check_labels(table: pd.DataFrame, config: ImageDataset) -> None:
    classes = table.groupby("sha256")["label"].transform("nunique")
    wrong = table[classes > 1].sort_values(["sha256", "file"])
    if len(wrong):
        rows = wrong[wrong["sha256"] == wrong["sha256"].iat[0]]
        names = " and ".join(rows["file"].head(SHOWN))
        raise UserError(
            f"the same image has two labels in dataset {config.name} ({len(wrong)} files in all): "
            f"{names}; remove the wrong one"
        )


def _duplicates(table: pd.DataFrame) -> pd.DataFrame:
    splits = table.groupby("sha256")["split"].transform("nunique")
    found = table.loc[splits > 1, ["file", "sha256", "split", "label"]]
    return found.sort_values(["sha256", "file"], ignore_index=True)


def _with_adjacent(
    table: pd.DataFrame, config: ImageDataset, window: Window, cache: Path
) -> pd.Series:
    """The column `series`, completed by the numbering for images without group and series."""
    unnamed = table[(table["group"] == "") & (table["series"] == "")]
    small = series.thumbnails(unnamed, config.name, config.max_pixels, window, cache)
    found = series.adjacent(unnamed["file"].tolist(), small)
    log.info(
        "%s: %d series by adjacency in the numbering of %d images",
        config.name, len(set(found) - {""}), len(unnamed),
    )  # fmt: skip
    return pd.Series(found, index=unnamed.index).reindex(table.index).fillna(table["series"])


def _limited(table: pd.DataFrame, config: ImageDataset) -> pd.DataFrame:
    """At most `config.limit` rows of each class and split, drawn at random with the seed.

    Images are drawn one by one, not by cluster: a small set of whole series would hold few series.
    Clusters keep their numbers, so the images that remain of one still stay together. A smaller
    limit draws a subset of what a larger one draws.
    """
    if config.limit is None:
        return table
    if config.limit < 1:
        raise UserError(f"dataset.limit={config.limit} leaves no images; null is no limit")
    drawn = table.iloc[np.random.default_rng(config.seed).permutation(len(table))]
    return drawn.groupby(["label", "split"]).head(config.limit).sort_index()
