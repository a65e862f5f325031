"""Step bodies for images before training: decode once, then split."""

import hashlib
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig
from rich.progress import track
from sklearn.model_selection import StratifiedGroupKFold

from conf.errors import UserError
from conf.schema import SplitBy
from datasets.common import disk
from datasets.common.contract import Images
from datasets.common.images import read_image, resize
from train.common.values import Samples, Splits

log = logging.getLogger(__name__)

Build = Callable[[DictConfig, Path], Images]

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


def decode(samples: Samples, config: DictConfig) -> Samples:
    """Decode and resize every image once into `<cache>/pixels/`, and return `samples` with it.

    The file is a uint8 `.npy` (N, S, S, 3), written one image at a time, so memory is flat in N.
    It is keyed by the images' digests and S, and reused by the next run.
    """
    size, cache = config.transform.image_size, Path(config.env.cache)
    key = hashlib.sha256("".join(samples.table["sha256"]).encode()).hexdigest()[:16]
    path = cache / "pixels" / f"{samples.name}-{key}-{size}.npy"
    if path.exists():
        log.info("pixels: reusing %s", path)
        return replace(samples, pixels=path)
    shape = (len(samples.table), size, size, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    disk.need(path.parent, int(np.prod(shape)))
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    partial = path.with_suffix(".partial")

    def one(file: str) -> bytes:
        return resize(read_image(Path(file), config.dataset.max_pixels), size).tobytes()

    # Written as a plain file: a full disk under a memory map would kill the process.
    with ThreadPoolExecutor(config.transform.workers) as pool, disk.writing(path.parent):
        with partial.open("wb") as out:
            np.lib.format.write_array_header_1_0(out, header)
            images = _in_order(pool, one, samples.table["path"].tolist())
            for image in track(images, "decoding", total=shape[0], transient=True):
                out.write(image)
        partial.rename(path)
    return replace(samples, pixels=path)


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[str], bytes], files: list[str], ahead: int = 64
) -> Iterator[bytes]:
    """Results of `work(file)` in the order of `files`, with at most `ahead` of them waiting."""
    for start in range(0, len(files), ahead):
        yield from pool.map(work, files[start : start + ahead])


def split_images(samples: Samples, config: DictConfig) -> Splits:
    """Train, validation and test: the official ones, or new ones that keep clusters together.

    Raises `UserError` when official splits are missing or share images, or when a class has too
    few images for a split of its own.
    """
    by_cluster = config.by == SplitBy.cluster
    names = _by_cluster(samples, config) if by_cluster else _official(samples)
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
    crossing = int(
        (pd.Series(names).groupby(samples.table["cluster"].to_numpy()).nunique() > 1).sum()
    )
    if crossing:
        log.warning(
            "%d near-duplicate clusters have images in more than one split: figures on test are "
            "optimistic; split.by=cluster makes splits without them",
            crossing,
        )
    who = samples.table["file"] + samples.table["sha256"] + names
    digest = hashlib.sha256("\n".join(sorted(who)).encode()).hexdigest()
    log.info("split by %s: %s", config.by.name, {name: len(rows) for name, rows in parts.items()})
    return Splits(samples, parts["train"], parts["validation"], parts["test"], digest, crossing)


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


def _by_cluster(samples: Samples, config: DictConfig) -> np.ndarray:
    """Split names by StratifiedGroupKFold: first test, then validation from what is left."""
    if not 0 < config.validation + config.test < 1 or min(config.validation, config.test) <= 0:
        raise UserError(
            f"split.validation={config.validation} and split.test={config.test} must be positive "
            "and leave something to train on"
        )
    labels = samples.table["label"].to_numpy()
    clusters = samples.table["cluster"].to_numpy()
    names = np.full(len(labels), "train", dtype="<U10")
    rest = np.arange(len(labels))
    shares = (("test", config.test), ("validation", config.validation / (1 - config.test)))
    for name, share in shares:
        folds = max(2, round(1 / share))
        groups = pd.Series(clusters[rest]).groupby(labels[rest]).nunique()
        if groups.min() < folds:
            few = samples.classes[int(groups.idxmin())]
            raise UserError(
                f"class {few} has {groups.min()} independent images (near-duplicates count once) "
                f"and {folds} are needed for split.{name}={getattr(config, name)}: add images or "
                f"raise split.{name}"
            )
        folder = StratifiedGroupKFold(folds, shuffle=True, random_state=config.seed)
        _, chosen = next(folder.split(rest, labels[rest], clusters[rest]))
        names[rest[chosen]] = name
        rest = np.delete(rest, chosen)
    return names
