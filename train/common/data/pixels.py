"""Step bodies for images before training: decode once, then split."""

import hashlib
import importlib
import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig
from rich.progress import track

from conf.errors import UserError
from conf.schema import SplitBy
from datasets.common.contract import Images
from datasets.common.fetching import disk
from datasets.common.fetching.locks import Lock
from datasets.common.images import READER, read_image
from train.common.data.draw import draw
from train.common.data.types import Samples, Splits

log = logging.getLogger(__name__)

Build = Callable[[DictConfig, Path], Images]

SHOWN = 3
"""Examples in a message."""
FEWEST_IMAGES = 2
"""Images of a class a split needs at least for its metrics to mean anything."""


def gather(build: Build, config: DictConfig) -> Samples:
    """The images that a dataset's `build` verified, as the pipeline's `Samples`."""
    images = build(config.dataset, Path(config.env.cache))
    return Samples(
        images.name,
        images.classes,
        images.table,
        images.quarantined,
        images.duplicates,
        images.digest,
    )


def gather_named(config: DictConfig) -> Samples:
    """The images of `config.dataset`, whichever dataset that is."""
    return gather(importlib.import_module(f"datasets.{config.dataset.name}.dataset").build, config)


def decode(samples: Samples, config: DictConfig) -> Samples:
    """Decode and resize every image once into `<cache>/pixels/`, and return `samples` with it.

    The file is a uint8 `.npy` (N, S, S, 3), written one image at a time, so memory is flat in N.
    It is keyed by the images' digests, the reader, the window of DICOM and S, and reused by the
    next run where it is whole. Of two runs that want the same one decodes and the other waits.
    """
    size, cache = config.transform.image_size, Path(config.env.cache)
    seen = "".join(samples.table["sha256"]) + f"{config.dataset.dicom} {READER}"
    key = hashlib.sha256(seen.encode()).hexdigest()[:16]
    path = cache / "pixels" / f"{samples.name}-{key}-{size}.npy"
    shape = (len(samples.table), size, size, 3)
    if not disk.whole_array(path, np.uint8, shape):
        with disk.writing(path.parent), Lock(path.with_suffix(".lock"), f"{path}", wait=True):
            if not disk.whole_array(path, np.uint8, shape):
                _decode(samples, config, path, shape)
                return replace(samples, pixels=path)
    log.info("pixels: reusing %s", path)
    return replace(samples, pixels=path)


def _decode(samples: Samples, config: DictConfig, path: Path, shape: tuple[int, ...]) -> None:
    dataset, size = config.dataset, shape[1]
    disk.remove_drafts(path)
    disk.need(path.parent, int(np.prod(shape)))
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}

    def one(file: str) -> bytes:
        return read_image(Path(file), dataset.max_pixels, dataset.dicom, size).tobytes()

    # Written as a plain file: a full disk under a memory map would kill the process.
    with (
        ThreadPoolExecutor(config.transform.workers) as pool,
        disk.atomic_write(path) as draft,
        draft.open("wb") as out,
    ):
        np.lib.format.write_array_header_1_0(out, header)
        images = _in_order(pool, one, samples.table["path"].tolist())
        for image in track(images, "decoding", total=shape[0], transient=True):
            out.write(image)


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[str], bytes], files: list[str], ahead: int = 64
) -> Iterator[bytes]:
    """Results of `work(file)` in the order of `files`, with at most `ahead` of them waiting."""
    waiting: deque[Future[bytes]] = deque()
    for file in files:
        waiting.append(pool.submit(work, file))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def split_images(samples: Samples, config: DictConfig) -> Splits:
    """Train, validation and test: the official ones, or new ones, by cluster or by class alone.

    `config` is a `conf.schema.Split`. Raises `UserError` when official splits are missing or share
    images (also near-duplicates, unless `config.allow_crossing`), when there is no such fold, or
    when a class has too few images for a split of its own.
    """
    _check_fold(config)
    official = config.by == SplitBy.official
    names = _official(samples) if official else _drawn(samples, config)
    parts = {name: np.flatnonzero(names == name) for name in ("train", "validation", "test")}
    for name, rows in parts.items():
        counts = samples.table["label"].iloc[rows].value_counts()
        for label, class_name in enumerate(samples.classes):
            if counts.get(label, 0) < FEWEST_IMAGES:
                raise UserError(
                    f"split {name} has {counts.get(label, 0)} images of class {class_name}; at "
                    f"least {FEWEST_IMAGES} are needed: add images, or raise split.validation and "
                    "split.test with split.by=cluster"
                )
    crossing, said = _crossing(samples.table, names)
    if crossing and official and not config.allow_crossing:
        raise UserError(
            f"{said}\nChoose split.by=cluster to make splits without them from all images, or "
            "accept them, and a report that says so: split.allow_crossing=true"
        )
    if crossing:
        log.warning("%s\nsplit.by=cluster makes splits without them", said)
    label = samples.table["label"].map(dict(enumerate(samples.classes)))
    who = samples.table["file"] + samples.table["sha256"] + names + label
    digest = hashlib.sha256("\n".join(sorted(who)).encode()).hexdigest()
    log.info("split by %s: %s", config.by.name, {name: len(rows) for name, rows in parts.items()})
    return Splits(samples, parts["train"], parts["validation"], parts["test"], digest, crossing)


def _crossing(table: pd.DataFrame, names: np.ndarray) -> tuple[int, str]:
    """How many near-duplicate clusters have images in several of the splits `names`, in words too.

    The words count the images of test that are concerned, and give examples.
    """
    placed = table[["file", "cluster"]].assign(split=names).reset_index(drop=True)
    counted = placed.groupby("cluster")["split"].transform("nunique")
    across = placed[counted > 1]
    if across.empty:
        return 0, ""
    clusters, test = across["cluster"].nunique(), int((across["split"] == "test").sum())
    pairs = across.drop_duplicates(["cluster", "split"]).groupby("cluster")
    examples = [
        " and ".join(f"{row.file} ({row.split})" for row in pair.itertuples())
        for _, pair in islice(pairs, SHOWN)
    ]
    return clusters, (
        f"{clusters} near-duplicate clusters have images in more than one split, {test} of the "
        f"{int((names == 'test').sum())} test images among them: figures on test are optimistic. "
        f"For example: {'; '.join(examples)}"
    )


def _check_fold(config: DictConfig) -> None:
    if config.folds is None and config.fold is None:
        return
    if config.by == SplitBy.official:
        raise UserError(
            f"split.folds={config.folds} needs split.by=cluster: the official splits are one"
        )
    folds, fold = config.folds or 0, -1 if config.fold is None else config.fold
    if folds < 2 or not 0 <= fold < folds:
        raise UserError(
            f"split.fold={config.fold} of split.folds={config.folds} is no fold: two or more are "
            "needed, and they count from 0"
        )


def _official(samples: Samples) -> np.ndarray:
    names = samples.table["split"].to_numpy(dtype=str)
    absent = {"train", "validation", "test"} - set(names)
    if absent:
        raise UserError(
            f"split.by=official, but {samples.name} has no {', '.join(sorted(absent))} split; "
            "choose split.by=cluster to make splits from all images"
        )
    if len(samples.duplicates):
        raise UserError(
            f"{len(samples.duplicates)} images of {samples.name} stand byte for byte in more than "
            f"one official split (first: {samples.duplicates['file'].iat[0]}): test figures would "
            "not hold; choose split.by=cluster to re-make the splits"
        )
    return names


def _drawn(samples: Samples, config: DictConfig) -> np.ndarray:
    """Names of new splits, of whole clusters or of single images."""

    def few(label: int, found: int, needed: int, name: str, share: float) -> str:
        return (
            f"class {samples.classes[label]} has {found} independent images (near-duplicates count "
            f"once) and {needed} are needed for split.{name}={share:.2g}: add images or "
            f"raise split.{name}"
        )

    labels = samples.table["label"].to_numpy()
    by_cluster = config.by == SplitBy.cluster
    groups = samples.table["cluster"].to_numpy() if by_cluster else np.arange(len(labels))
    test = 1 / config.folds if config.folds else config.test
    return draw(labels, groups, config.validation, test, config.seed, few, config.fold or 0)
