"""What a way of training costs in accuracy: stored views and precision, over several seeds.

    SONDA_DATA=... python tests/benchmarks/views.py --pipeline train_mobilenetv2ft \\
        model.weights=/path/to/weights.h5
    SONDA_DATA=... python tests/benchmarks/views.py --pipeline train_resnet50v2ft --seeds 0 1 2 \\
        --ways "fit.cache=none fit.precision=float32" "fit.views=4" -- model.weights=none

Each way is a few settings; the first is what the others are compared with. Images, split and, seed
by seed, the start are the same for all. The last table takes the answers of all seeds together;
clusters of images are drawn whole, with all their answers.
"""

import argparse
import importlib
import logging
import os
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from datasets.kvasir4.dataset import build as build_images
from tests.benchmarks.tables import judge, show
from tests.common import configuration
from tests.two_phases import fine_tune
from train.common.data.pixels import decode
from train.common.data.split import split_images
from train.common.fitting.inputs import predict

WAYS = [
    "fit.cache=none fit.precision=float32",
    *(f"fit.views={views}" for views in (1, 2, 4, 8, "null")),
]
"""Without a cache every epoch draws views of its own."""


def main() -> None:
    """Train each way with each seed, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pipeline", default="train_mobilenetv2ft")
    parser.add_argument("--ways", nargs="*", default=WAYS, help="settings, by way")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("overrides", nargs="*", help="settings of all, such as fit.batch_size=16")
    given = parser.parse_intermixed_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    os.environ.setdefault("MLFLOW_TRACKING_URI", "sqlite://")
    home = Path(os.environ["SONDA_DATA"], "endoscopy4").resolve()
    found: dict[str, list[np.ndarray]] = {way: [] for way in given.ways}
    lines = []
    with tempfile.TemporaryDirectory() as cache:
        for seed, way in product(given.seeds, given.ways):
            config = configuration(
                f"+pipeline={given.pipeline}", "env=production", "dataset.source=directory",
                f"dataset.path={home}", "split.by=cluster", f"env.cache={cache}",
                f"seed={seed}", *given.overrides, *way.split(),
            )  # fmt: skip
            build = importlib.import_module(f"models.{config.model.name}.model").build
            images = build_images(config.dataset, Path(cache))
            decoded = decode(images, config.dataset, config.transform, Path(cache))
            splits = split_images(decoded, config.split)
            started = time.perf_counter()
            fitted = fine_tune(splits, config, build, Unheard())
            seconds = time.perf_counter() - started
            probabilities = predict(fitted, splits, splits.test).probabilities
            found[way].append(probabilities)
            right = probabilities.argmax(axis=1) == splits.labels(splits.test)
            best = fitted.history.iloc[fitted.best_epoch - 1]
            figures = [best["val_accuracy"], best["val_loss"], right.mean()]
            cells = [way, str(seed), f"{seconds:.0f}", str(fitted.best_epoch)]
            lines.append([*cells, *(f"{figure:.3f}" for figure in figures)])
            print(lines[-1], file=sys.stderr)
    show(
        ["way", "seed", "seconds", "best epoch", "accuracy on validation", "loss on validation",
         "accuracy on test"],
        lines,
    )  # fmt: skip
    table = pd.concat([images.frame.iloc[splits.test]] * len(given.seeds))
    joined = {way: np.concatenate(each) for way, each in found.items()}
    judge(joined, table, images.classes)


class Unheard:
    """Epochs are logged already."""

    id = "study"

    def log_epoch(self, _epoch: int, _values: dict[str, Any]) -> None:
        """Nothing to do."""

    def log_resumed(self, _earlier: str) -> None:
        """Nothing to do."""


if __name__ == "__main__":
    main()
