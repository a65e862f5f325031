"""A generated set on disk, so that every pipeline runs where no data is.

A dataset brings `draw(label, seed)`; here its images become JPEG files in official splits, once,
under a name that holds what they depend on.
"""

import hashlib
import inspect
import io
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from omegaconf import DictConfig
from PIL import Image
from rich.progress import track

from conf.errors import UserError
from datasets.common import disk

Draw = Callable[[int, np.random.SeedSequence], np.ndarray]
"""From a class number and a seed to uint8 (H, W, 3)."""

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
FEWEST = 5
"""Images per class of which every split still gets one."""


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
    code = hashlib.sha256(inspect.getsource(inspect.getmodule(draw) or draw).encode())
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
    jobs = []
    for label, name in enumerate(config.classes):
        for split in SHARES:
            (folder / split / name).mkdir(parents=True)
        for number, split in enumerate(splits):
            jobs.append((label, number, folder / split / name / f"{number:04d}.jpg"))

    def one(job: tuple[int, int, Path]) -> None:
        label, number, path = job
        seed = np.random.SeedSequence([config.seed, label, number])
        quality = int(np.random.default_rng(seed.spawn(1)[0]).integers(80, 96))
        encoded = io.BytesIO()  # Pillow, writing to a file itself, hides that the disk is full
        Image.fromarray(draw(label, seed)).save(encoded, "JPEG", quality=quality)
        path.write_bytes(encoded.getvalue())

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for _ in track(pool.map(one, jobs), f"drawing {config.name}", total=len(jobs)):
            pass
