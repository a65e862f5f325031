"""Small image sets on disk, and the configuration that reads them."""

from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from conf.schema import ImageDataset, Source

CLASSES = ["0_first", "1_second"]


def config(**values: Any) -> DictConfig:
    """An `ImageDataset` of two classes from a directory, changed by `values`."""
    given = {"name": "frames", "classes": CLASSES, "source": Source.directory} | values
    return OmegaConf.structured(ImageDataset(**given))


def picture(seed: int, width: int = 48, height: int = 40) -> np.ndarray:
    """uint8 (height, width, 3) that looks like no other seed's, also to a perceptual hash."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def save(path: Path, seed: int, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed)).save(path, **options)
    return path


def image_set(
    root: Path, count: int = 4, splits: tuple[str, ...] = (), classes: list[str] | None = None
) -> Path:
    """`count` different images for each class, and split where given, below `root`."""
    for i, home in enumerate(root / split for split in splits or ("",)):
        for j, name in enumerate(classes or CLASSES):
            for k in range(count):
                save(home / name / f"{k}.png", seed=1000 * i + 100 * j + k)
    return root
