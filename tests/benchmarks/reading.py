"""The reader alone: files to pixels of the model's size, images a second, interleaved.

    SONDA_DATA=... python tests/benchmarks/reading.py      the kidney originals

- Pillow in one thread: open, convert to RGB, resize
- keras.utils.image_dataset_from_directory: TensorFlow's decoder, as many threads as it likes
- this repository's transform step: checks, orientation, RGB, resize, pixels on disk

Pillow and this repository antialias where they shrink; TensorFlow's bilinear resize does not.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from datasets.common.contract import Images
from tests.benchmarks.tables import show
from tests.common import configuration
from train.common.data.pixels import decode


def main() -> None:
    """Time the three in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, help="one folder for each class")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=224)
    given = parser.parse_args()
    folder = given.folder or Path(os.environ.get("SONDA_DATA", "."), "kidney2")
    files = sorted(path for path in folder.glob("*/*") if path.is_file())
    if not files:
        raise SystemExit(f"{folder} holds no images: set SONDA_DATA, or --folder")

    def pillow() -> None:
        for file in files:
            with Image.open(file) as image:
                np.asarray(
                    image.convert("RGB").resize((given.size, given.size), Image.Resampling.BILINEAR)
                )

    def keras_reader() -> None:
        import keras

        data = keras.utils.image_dataset_from_directory(
            str(folder), image_size=(given.size, given.size), shuffle=False, verbose=False
        )
        for _ in data:
            pass

    table = pd.DataFrame({"path": [str(file) for file in files]})
    table["sha256"] = table["path"]
    images = Images(
        name="kidney2", classes=(), frame=table, quarantined=table, duplicates=table, digest="0"
    )

    cache = tempfile.mkdtemp()
    config = configuration(
        "+pipeline=train_resnet50v2ft", f"env.cache={cache}", f"transform.image_size={given.size}"
    )

    def ours() -> None:
        decode(images, config.dataset, config.transform, Path(cache))
        shutil.rmtree(cache)

    readers: dict[str, Callable[[], None]] = {
        "Pillow, one thread": pillow,
        "keras.utils.image_dataset_from_directory": keras_reader,
        "transform step": ours,
    }
    rates: dict[str, list[float]] = {name: [] for name in readers}
    work: dict[str, list[float]] = {name: [] for name in readers}
    keras_reader()  # imports TensorFlow
    for _ in range(given.rounds):
        for name, read in readers.items():
            started, spent = time.perf_counter(), time.process_time()
            read()
            rates[name].append(len(files) / (time.perf_counter() - started))
            work[name].append(1000 * (time.process_time() - spent) / len(files))
    show(
        [f"{len(files)} images of {folder.name}", "images/s, median", "best", "ms of CPU an image"],
        [
            [name, f"{np.median(each):.0f}", f"{max(each):.0f}", f"{min(work[name]):.1f}"]
            for name, each in rates.items()
        ],
    )


if __name__ == "__main__":
    main()
