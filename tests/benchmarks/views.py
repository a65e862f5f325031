"""How many stored views a training image needs: fit.views against accuracy.

    SONDA_DATA=... python tests/benchmarks/views.py --pipeline train_mobilenetv2ft \\
        model.weights=/path/to/weights.h5

The first line has no cache, in float32: every epoch draws views of its own. The others are in the
pipeline's precision. Images, split, seed and start are the same for all.
"""

import argparse
import importlib
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from datasets.kvasir4.dataset import build as build_images
from tests.benchmarks.tables import judge, show
from tests.common import composed
from train.common.feed import batches
from train.common.fit import fine_tune
from train.common.images import decode, gather, split_images


def main() -> None:
    """Train with each number of views, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pipeline", default="train_mobilenetv2ft")
    parser.add_argument("--views", nargs="*", default=["1", "2", "4", "8", "null"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("overrides", nargs="*", help="settings, such as fit.finetune.epochs=8")
    given = parser.parse_intermixed_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    os.environ.setdefault("MLFLOW_TRACKING_URI", "sqlite://")
    home = Path(os.environ["SONDA_DATA"], "endoscopy4").resolve()
    ways = {"no cache": ["fit.cache=none", "fit.precision=float32"]}
    ways |= {f"{n} views": [f"fit.views={n}"] for n in given.views}
    answers: dict[str, np.ndarray] = {}
    lines = []
    with tempfile.TemporaryDirectory() as cache:
        for name, settings in ways.items():
            config = composed(
                f"+pipeline={given.pipeline}", "env=production", "dataset.source=directory",
                f"dataset.path={home}", "split.by=cluster", f"env.cache={cache}",
                f"seed={given.seed}", *settings, *given.overrides,
            )  # fmt: skip
            build = importlib.import_module(f"models.{config.model.name}.model").build
            samples = decode(gather(build_images, config), config)
            splits = split_images(samples, config.split)
            started = time.perf_counter()
            fitted = fine_tune(splits, config, build, hear, lambda _run: None, "study")
            seconds = time.perf_counter() - started
            data = batches(splits, splits.test, config.fit.batch_size, None)
            answers[name] = fitted.model.predict(data, verbose=0)
            best = fitted.history.iloc[fitted.best_epoch - 1]
            figures = [f"{best[key]:.3f}" for key in ("val_accuracy", "val_loss")]
            lines.append([name, f"{seconds:.0f}", str(fitted.best_epoch), *figures])
            print(lines[-1], file=sys.stderr)
    show(["views", "seconds", "best epoch", "accuracy on validation", "loss on validation"], lines)
    judge(answers, samples.table.iloc[splits.test], samples.classes)


def hear(epoch: int, values: dict[str, Any]) -> None:
    """Nothing to do: epochs are logged."""


if __name__ == "__main__":
    main()
