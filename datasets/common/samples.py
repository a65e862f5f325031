"""A generated sample on disk: every pipeline runs without data.

A dataset provides `draw(label, seed)`. This module writes its images once, as JPEG files in
official splits. The name of the folder changes with everything that the images depend on. Images
that are drawn together, such as the slices of one scan, are one group of the manifest and stay in
one split.
"""

import hashlib
import inspect
import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from rich.progress import track

from conf.errors import UserError
from conf.schema import ImageDataset
from datasets.common import digests
from datasets.common.fetching import disk
from datasets.common.fetching.locks import Lock
from datasets.common.manifest import MANIFEST

Draw = Callable[[int, np.random.SeedSequence], np.ndarray]
"""Class number and seed to one image, uint8 (H, W, 3), or one series, uint8 (slices, H, W, 3)."""

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
FEWEST = 5
"""Images per class that are enough for one in every split."""
APART = 6
"""An image is drawn again unless its perceptual hash differs in more bits from those of all others.
It is above the default of `hash_distance`: chance must not put near-duplicates into two splits."""
ATTEMPTS = 20
"""Most attempts to draw one image; the last one is accepted."""


def generate(
    draw: Draw, config: ImageDataset, cache: Path, slices: int = 1, drawn: Sequence[str] = ()
) -> Path:
    """The folder of the sample, with `<split>/<class>/NNNN.jpg`; it is generated unless it exists.

    There are `config.sample_images` images per class over all splits, at most `config.limit`.
    `draw` returns `slices` images at a time; the last series of a split may be shorter. An image
    depends only on the seed, its class and its number (in a series, the number of the first image),
    not on the size of the sample. `drawn` names the classes that `draw` knows, in the order of
    their numbers; the default is `config.classes`.
    """
    classes = list(drawn or config.classes)
    if strange := [name for name in config.classes if name not in classes]:
        raise UserError(
            f"dataset.source=sample cannot draw {strange[0]} (dataset.classes); choices: "
            f"{', '.join(classes)}"
        )
    count = min(config.sample_images, config.limit or config.sample_images)
    if count < FEWEST:
        raise UserError(
            f"dataset.sample_images={config.sample_images} with dataset.limit={config.limit} makes "
            f"{count} images per class; {FEWEST} or more are needed for three splits"
        )
    code = hashlib.sha256("".join([*_code(draw), *classes]).encode()).hexdigest()
    name = f"{config.name}-{count}-{config.seed}-{code[:8]}"
    folder = cache / "samples" / name
    if folder.exists():
        return folder
    lock = folder.with_name(f".{name}.lock")
    with disk.writing(folder), Lock(lock, f"the drawing of {folder}", wait=True):
        if not folder.exists():
            disk.remove_drafts(folder)
            with disk.atomic_folder(folder) as draft:
                _write(draw, classes, config.seed, count, slices, draft, f"drawing {config.name}")
    return folder


def _code(draw: Draw) -> list[str]:
    """The code that an image depends on: this module, and that of `draw`, or its whole package."""
    module = Path(inspect.getfile(draw))
    package = sorted(module.parent.glob("*.py")) if module.name == "__init__.py" else [module]
    return [path.read_text(encoding="utf-8") for path in (*package, Path(__file__))]


def _write(
    draw: Draw, classes: list[str], seed: int, count: int, slices: int, folder: Path, title: str
) -> None:
    validation, test = (max(1, round(count * SHARES[s])) for s in ("validation", "test"))
    starts = {"train": 0, "validation": count - validation - test, "test": count - test}
    ends = dict(zip(starts, [*starts.values(), count][1:], strict=True))
    # Number before class: whether an image is drawn again depends only on smaller numbers.
    jobs: list[tuple[int, int, list[Path]]] = []
    for split, start in starts.items():
        for name in classes:
            (folder / split / name).mkdir(parents=True)
        for first in range(start, ends[split], slices):
            numbers = range(first, min(first + slices, ends[split]))
            for label, name in enumerate(classes):
                home = folder / split / name
                jobs.append((label, first, [home / f"{number:04d}.jpg" for number in numbers]))

    def one(job: tuple[int, int, list[Path]], attempt: int = 0) -> list[int]:
        """Draw and write one image or series; returns the perceptual hashes as integers."""
        label, first, paths = job
        own = np.random.SeedSequence([seed, label, first, attempt])
        quality = int(np.random.default_rng(own.spawn(1)[0]).integers(80, 96))
        drawn = draw(label, own)
        looks = []
        for path, pixels in zip(paths, drawn if slices > 1 else [drawn], strict=False):
            encoded = io.BytesIO()  # Pillow hides a full disk if it writes the file itself
            Image.fromarray(pixels).save(encoded, "JPEG", quality=quality)
            path.write_bytes(encoded.getvalue())
            looks.append(int(digests.look(np.asarray(Image.open(encoded))), 16))
        return looks

    seen: list[int] = []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        drawn = track(pool.map(one, jobs), title, total=len(jobs))
        for job, looks in zip(jobs, drawn, strict=True):
            for attempt in range(1, ATTEMPTS):
                if all((a ^ b).bit_count() > APART for a in looks for b in seen):
                    break
                looks = one(job, attempt)
            seen += looks
    if slices > 1:
        rows = [
            (path.relative_to(folder).as_posix(), f"series{number:03d}")
            for number, (_, _, paths) in enumerate(jobs)
            for path in paths
        ]
        pd.DataFrame(rows, columns=["file", "group"]).to_csv(folder / MANIFEST, index=False)
