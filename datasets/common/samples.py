"""A generated set on disk, so that every pipeline runs where no data is.

A dataset brings `draw(label, seed)`; here its images become JPEG files in official splits, once,
under a name that holds what they depend on.
"""

import hashlib
import inspect
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from omegaconf import DictConfig
from PIL import Image
from rich.progress import track

from conf.errors import UserError
from datasets.common import digests, disk

Draw = Callable[[int, np.random.SeedSequence], np.ndarray]
"""From a class number and a seed to uint8 (H, W, 3)."""

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
FEWEST = 5
"""Images per class of which every split still gets one."""
APART = 6
"""Perceptual hashes differ in more bits than this, or the image is drawn again: chance must not put
near-duplicates into two splits, so this is above the default of `hash_distance`."""
ATTEMPTS = 20
"""Of drawing one image; a `draw` that cannot do better is taken as it is."""


def generate(draw: Draw, config: DictConfig, cache: Path) -> Path:
    """The folder of the sample of `config`: `<split>/<class>/NNNN.jpg`, generated if need be.

    `config.sample_images` per class in all, at most `config.limit`. An image depends on the
    seed, its class and its number alone, not on how many there are.
    """
    count = min(config.sample_images, config.limit or config.sample_images)
    if count < FEWEST:
        raise UserError(
            f"dataset.sample_images={config.sample_images} with dataset.limit={config.limit} makes "
            f"{count} images per class; {FEWEST} or more are needed for three splits"
        )
    sources = (inspect.getmodule(draw) or draw, sys.modules[__name__])
    code = hashlib.sha256("".join(map(inspect.getsource, sources)).encode())
    name = f"{config.name}-{count}-{config.seed}-{code.hexdigest()[:8]}"
    folder = cache / "samples" / name
    if folder.exists():
        return folder
    with disk.writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
        try:
            _write(draw, config, count, partial)
            partial.chmod(0o755)
            partial.rename(folder)
        except OSError:
            if not folder.exists():  # else another run was faster, with the same images
                raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder


def _write(draw: Draw, config: DictConfig, count: int, folder: Path) -> None:
    validation, test = (max(1, round(count * SHARES[s])) for s in ("validation", "test"))
    splits = ["train"] * (count - validation - test)
    splits += ["validation"] * validation + ["test"] * test
    for split in SHARES:
        for name in config.classes:
            (folder / split / name).mkdir(parents=True)
    # Number before class: what is drawn again depends on smaller numbers alone.
    jobs = [
        (label, number, folder / split / name / f"{number:04d}.jpg")
        for number, split in enumerate(splits)
        for label, name in enumerate(config.classes)
    ]

    def one(job: tuple[int, int, Path], attempt: int = 0) -> int:
        """Draw and write one image; its perceptual hash as an integer."""
        label, number, path = job
        seed = np.random.SeedSequence([config.seed, label, number, attempt])
        quality = int(np.random.default_rng(seed.spawn(1)[0]).integers(80, 96))
        encoded = io.BytesIO()  # Pillow, writing to a file itself, hides that the disk is full
        Image.fromarray(draw(label, seed)).save(encoded, "JPEG", quality=quality)
        path.write_bytes(encoded.getvalue())
        return int(digests.look(np.asarray(Image.open(encoded))), 16)

    seen: list[int] = []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        drawn = track(pool.map(one, jobs), f"drawing {config.name}", total=len(jobs))
        for job, look in zip(jobs, drawn, strict=True):
            for attempt in range(1, ATTEMPTS):
                if all((look ^ other).bit_count() > APART for other in seen):
                    break
                look = one(job, attempt)
            seen.append(look)
