"""Split samples into train, validation and test: officially, or by group and stratified."""

import hashlib
import logging
from collections.abc import Callable
from itertools import islice

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from conf.errors import UserError
from conf.schema import Split, SplitBy, TableSplit
from datasets.common.contract import Images
from datasets.common.tables import Table
from train.common.data.types import DecodedImages, Splits

log = logging.getLogger(__name__)

FEWEST_IMAGES = 2
"""Smallest number of images of a class in a split: with fewer, its metrics mean nothing."""
Few = Callable[[int, int, int, str, float], str]
"""Makes the message for a class with too few groups, from the number of the class, how many groups
it has, how many are needed, and the name and share of the split."""


def split_images(images: DecodedImages, settings: Split) -> Splits[DecodedImages]:
    """Official splits, or new ones by cluster, by source or by class alone.

    Near-duplicates may cross the splits: the leak gate (`train.common.gate`) judges that. Raises
    `UserError` when official splits are missing or share images, when the fold does not exist, or
    when a class has too few images for a split.
    """
    _check_fold(settings)
    official = settings.by == SplitBy.official
    names = _official(images) if official else _drawn(images, settings)
    parts = {name: np.flatnonzero(names == name) for name in ("train", "validation", "test")}
    for name, rows in parts.items():
        if name == "test" and settings.by == SplitBy.source:
            continue  # a source need not have every class
        counts = images.frame["label"].iloc[rows].value_counts()
        for label, class_name in enumerate(images.classes):
            if counts.get(label, 0) < FEWEST_IMAGES:
                raise UserError(
                    f"split {name} has {counts.get(label, 0)} images of class {class_name}; at "
                    f"least {FEWEST_IMAGES} are needed: add images, or raise split.validation and "
                    "split.test with split.by=cluster"
                )
    placed = pd.Series(names).groupby(images.frame["cluster"].to_numpy())
    crossing = int((placed.nunique() > 1).sum())
    label = images.frame["label"].map(dict(enumerate(images.classes)))
    who = images.frame["file"] + images.frame["sha256"] + names + label
    digest = hashlib.sha256("\n".join(sorted(who)).encode()).hexdigest()
    log.info("split by %s: %s", settings.by.name, {name: len(rows) for name, rows in parts.items()})
    return Splits(images, parts["train"], parts["validation"], parts["test"], digest, crossing)


def _check_fold(settings: Split) -> None:
    if settings.folds is None and settings.fold is None:
        return
    if settings.by == SplitBy.official:
        raise UserError(
            f"split.folds={settings.folds} needs split.by=cluster: official splits have no folds"
        )
    folds, fold = settings.folds or 0, -1 if settings.fold is None else settings.fold
    if folds < 2 or not 0 <= fold < folds:
        raise UserError(
            f"split.fold={settings.fold} of split.folds={settings.folds} is no fold: two or more "
            "folds are needed, numbered from 0"
        )


def _official(images: Images) -> np.ndarray:
    names = images.frame["split"].to_numpy(dtype=str)
    absent = {"train", "validation", "test"} - set(names)
    if absent:
        raise UserError(
            f"split.by=official, but {images.name} has no {', '.join(sorted(absent))} split; "
            "choose split.by=cluster to make splits from all images"
        )
    if len(images.duplicates):
        raise UserError(
            f"{len(images.duplicates)} images of {images.name} are byte for byte in more than "
            f"one official split (first: {images.duplicates['file'].iat[0]}): test figures would "
            "be wrong; choose split.by=cluster to make new splits"
        )
    return names


def _drawn(images: Images, settings: Split) -> np.ndarray:
    """The split of each image: whole clusters or single images are drawn."""

    def few(label: int, found: int, needed: int, name: str, share: float) -> str:
        return (
            f"class {images.classes[label]} has {found} independent images (near-duplicates count "
            f"once) and {needed} are needed for split.{name}={share:.2g}: add images or "
            f"raise split.{name}"
        )

    labels = images.frame["label"].to_numpy()
    by_image = settings.by == SplitBy.random
    groups = np.arange(len(labels)) if by_image else images.frame["cluster"].to_numpy()
    test = 1 / settings.folds if settings.folds else settings.test
    held_out = None
    if settings.by == SplitBy.source:
        held_out = _of_source(images, settings)
        test = float(held_out.mean())
    return split_names(
        labels, groups, settings.validation, test, settings.seed, few, settings.fold or 0, held_out
    )


def _of_source(images: Images, settings: Split) -> np.ndarray:
    """Whether each image (N,) is of the source that the fold tests.

    A near-duplicate cluster of several sources belongs to the source of most of its images. Raises
    `UserError` unless each image has a source, each source its fold, and each class two sources or
    more: a model cannot learn a class from the other sources if there are none.
    """
    frame = images.frame
    if missing := int((frame["source"] == "").sum()):
        raise UserError(
            f"split.by=source, but {missing} of {len(frame)} images of {images.name} have no "
            "source: name it in the column source of manifest.csv"
        )
    sources = frame.groupby("cluster")["source"].transform(lambda names: names.mode().iat[0])
    known = sorted(sources.unique())
    if settings.folds != len(known) or len(known) < 2:
        raise UserError(
            f"split.by=source tests each source in one fold: split.folds={settings.folds}, but "
            f"{images.name} has {len(known)} ({', '.join(known)}); give split.folds={len(known)}"
            if len(known) > 1
            else f"split.by=source, but all images of {images.name} are of one source, {known[0]}; "
            "choose split.by=cluster"
        )
    by_class = sources.groupby(frame["label"]).unique()
    alone = {images.classes[k]: found[0] for k, found in by_class.items() if len(found) == 1}
    if alone:
        named = ", ".join(f"{name} ({source})" for name, source in alone.items())
        others = ",".join(name for name in images.classes if name not in alone)
        raise UserError(
            f"split.by=source, but all images of a class are of one source: {named}. The fold that "
            "tests this source would train without the class. "
            + (
                f"Leave it out, dataset.classes=[{others}], or choose split.by=cluster"
                if "," in others
                else "Add images of it from another source, or choose split.by=cluster"
            )
        )
    return (sources == known[settings.fold or 0]).to_numpy()


def split_table(table: Table, settings: TableSplit) -> Splits[Table]:
    """New splits of whole groups, stratified by class as far as the groups allow.

    Raises `UserError` when the shares leave no training rows, and when a class has too few groups.
    """

    def few(label: int, found: int, needed: int, name: str, share: float) -> str:
        return (
            f"class {table.classes[label]} has rows in {found} values of {table.group} and "
            f"{needed} are needed for split.{name}={share}: add some, or raise split.{name}"
        )

    labels, groups = table.frame["label"].to_numpy(), table.frame["group"].to_numpy()
    names = split_names(labels, groups, settings.validation, settings.test, settings.seed, few)
    parts = {name: np.flatnonzero(names == name) for name in ("train", "validation", "test")}
    sizes = {name: len(rows) for name, rows in parts.items()}
    log.info("split by %s: %s", table.group, sizes)
    who = [f"{name} {row}" for name, rows in parts.items() for row in table.frame["row"].iloc[rows]]
    digest = hashlib.sha256("\n".join([table.digest, *sorted(who)]).encode()).hexdigest()
    return Splits(table, parts["train"], parts["validation"], parts["test"], digest)


def split_names(
    labels: np.ndarray,
    groups: np.ndarray,
    validation: float,
    test: float,
    seed: int,
    few: Few,
    fold: int = 0,
    held_out: np.ndarray | None = None,
) -> np.ndarray:
    """The split of each sample (N,): test is fold number `fold`; validation is drawn from the rest.

    With `held_out` (N,), a mask of whole groups, these are test instead. `validation` and `test`
    are shares of the N samples. Raises `UserError` when they leave no training samples, and with
    the message of `few` when a class has too few groups.
    """
    if not 0 < validation + test < 1 or min(validation, test) <= 0:
        raise UserError(
            f"split.validation={validation} and split.test={test} must be positive and leave "
            "something to train on"
        )
    names = np.full(len(labels), "train", dtype="<U10")
    rest, left = np.arange(len(labels)), 1.0
    parts = [("test", test, fold), ("validation", validation, 0)]
    if held_out is not None:
        names[held_out] = "test"
        rest, left, parts = rest[~held_out], 1 - test, parts[1:]
    for name, share, number in parts:
        folds = max(2, round(left / share))
        found = pd.Series(groups[rest]).groupby(labels[rest]).nunique()
        if found.min() < folds:
            raise UserError(few(int(found.idxmin()), int(found.min()), folds, name, share))
        folder = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        _, chosen = next(islice(folder.split(rest, labels[rest], groups[rest]), number, None))
        names[rest[chosen]] = name
        rest, left = np.delete(rest, chosen), left - share
    return names
