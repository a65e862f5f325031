"""Small image sets on disk, and the configuration that reads them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from PIL import Image

from conf.schema import ImageDataset, Source
from datasets.common.contract import Images
from datasets.common.sources import load
from tests.common import ROOT

CLASSES = ["0_first", "1_second"]
UNREACHABLE = "http://127.0.0.1:9"  # the discard port: nothing listens there


def config(**values: Any) -> Any:
    """An `ImageDataset` of two classes from a directory, changed by `values`."""
    given: dict[str, Any] = {"name": "frames", "classes": CLASSES, "source": Source.directory}
    return OmegaConf.structured(ImageDataset(**given | values))


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


def draw(label: int, seed: np.random.SeedSequence) -> np.ndarray:
    """A picture that looks like no other."""
    return picture(int(seed.generate_state(1)[0]) + label)


def build(root: Path, **values: Any) -> Images:
    """The set in `root`, as `config` with `values` reads it."""
    given = {"path": str(root)} | values
    return load(config(**given), root.parent / "cache", draw)


def write_manifest(root: Path, **columns: Any) -> None:
    """A manifest of all pictures below `root`, with `columns` beside their names."""
    files = sorted(p.relative_to(root).as_posix() for p in root.rglob("*.png"))
    pd.DataFrame({"file": files, **columns}).to_csv(root / "manifest.csv", index=False)


def on_a_tiny_disk(folder: Path, code: str, *arguments: str) -> str:
    """Output of `code`, run with a file system of 256 kB mounted on `folder`."""
    folder.mkdir()
    mount = f"mount -t tmpfs -o size=256k none {folder}"
    namespace = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    try:
        possible = subprocess.run([*namespace, mount], capture_output=True).returncode == 0
    except FileNotFoundError:
        possible = False
    if not possible:
        pytest.skip("a small file system cannot be mounted here")
    script = f'{mount} && exec "$@"'
    command = [*namespace, script, "sh", sys.executable, "-c", code, str(folder), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    return result.stdout
