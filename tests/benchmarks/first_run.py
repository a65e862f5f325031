"""From the command to the report: where the time of a whole training goes.

    python tests/benchmarks/first_run.py                  endoscopy4 below SONDA_DATA
    python tests/benchmarks/first_run.py --sample         the drawn sample of development
    python tests/benchmarks/first_run.py --beside         other ways on the same split

The command runs as a user runs it, first with an empty cache, then with the stored activations of
the first run. The other ways are logistic regression on frozen features, and the same network in
plain Keras (`train_seeds.py`: ImageDataGenerator and `model.fit`, without a report).
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.tables import judge, show
from tests.benchmarks.training import Trainer
from tests.benchmarks.training import run as take_turns
from tests.common import ROOT, configuration

STEPS = re.compile(r"steps: (.+)$", re.MULTILINE)
RESULT = re.compile(r"result: (.+)$", re.MULTILINE)
STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Inverse regularisation of logistic regression; validation chooses."""


def whole_run(overrides: list[str], folder: Path) -> tuple[dict[str, float], str]:
    """Seconds of each stage of one training, and what its log says was reached."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "train", *overrides, f"hydra.run.dir={folder}"],
        cwd=ROOT,
        env=os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder.parent}/mlflow.db"},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    text = done.stdout + done.stderr
    if done.returncode:
        raise SystemExit(text[-3000:])
    (steps,), (result,) = STEPS.findall(text), RESULT.findall(text)
    stages = {name: float(spent) for name, spent in re.findall(r"(\w+) ([\d.]+) s", steps)}
    return stages | {"start, logging and end": seconds - sum(stages.values())}, result


def frozen_features(config: Any) -> tuple[float, np.ndarray, Any]:
    """Seconds, probabilities on test and splits, of logistic regression on frozen features."""
    import importlib

    import keras
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from datasets.kvasir4.dataset import build
    from models.common import POOL
    from train.common.data.pixels import decode
    from train.common.data.split import split_images

    started = time.perf_counter()
    images = build(config.dataset, Path(config.env.cache))
    pixels = decode(images, config.dataset, config.transform, Path(config.env.cache))
    splits = split_images(pixels, config.split)
    network = importlib.import_module(f"models.{config.model.name}.model").build(
        config.model, len(images.classes)
    )
    pooled = keras.Model(network.input, network.get_layer(POOL).output)
    features = pooled.predict(splits.data.load(), batch_size=8, verbose=0)
    labels = images.frame["label"].to_numpy()
    fitted = {
        strength: make_pipeline(
            StandardScaler(), LogisticRegression(C=strength, max_iter=2000)
        ).fit(features[splits.train], labels[splits.train])
        for strength in STRENGTHS
    }
    best = min(
        fitted.values(),
        key=lambda model: log_loss(
            labels[splits.validation], model.predict_proba(features[splits.validation])
        ),
    )
    probabilities = best.predict_proba(features[splits.test])
    return time.perf_counter() - started, probabilities, splits


def main() -> None:
    """Run, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pipeline", default="train_efficientnetliteft")
    parser.add_argument("--sample", action="store_true", help="the drawn sample of development")
    parser.add_argument("--beside", action="store_true", help="other ways too, 10 minutes")
    parser.add_argument("overrides", nargs="*", help="settings, such as fit.views=2")
    given = parser.parse_intermixed_args()
    data = os.environ.get("SONDA_DATA")
    if not (data or given.sample):
        parser.error("set SONDA_DATA to the folder of endoscopy4, or give --sample")
    chosen = [f"+pipeline={given.pipeline}", *given.overrides]
    if given.sample:
        chosen += ["env=development"]
    else:
        chosen += [
            "env=production", "split.by=cluster", "dataset.source=directory",
            f"dataset.path={Path(str(data), 'endoscopy4').resolve()}",
        ]  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        cache = f"env.cache={folder}/cache"
        first, result = whole_run([*chosen, cache], folder / "first")
        second, _ = whole_run([*chosen, cache], folder / "second")
        rows = [[name, f"{first[name]:.1f}", f"{second[name]:.1f}"] for name in first]
        rows.append(["all", f"{sum(first.values()):.1f}", f"{sum(second.values()):.1f}"])
        show(["stage, seconds", "first run", "again, activations stored"], rows)
        print(f"\n- the first run: {result}")
        if given.beside:
            beside(given, chosen, folder)


def beside(given: argparse.Namespace, chosen: list[str], folder: Path) -> None:
    """Print what other ways take and reach on the same images and split."""
    config = configuration(*chosen, f"env.cache={folder}/frozen")
    seconds, probabilities, splits = frozen_features(config)
    spent = {"frozen features, logistic regression": seconds}
    answers = {"frozen features, logistic regression": probabilities}
    if not given.sample:
        plain = Trainer("seeds", folder)
        asked = argparse.Namespace(images=len(splits.data.frame), pipeline=given.pipeline)
        plain.start(asked, chosen[2:])
        take_turns([plain])
        spent["plain Keras, model.fit"] = plain.seconds
        answers["plain Keras, model.fit"] = np.load(folder / "seeds.npy")
    show(["beside it", "seconds"], [[name, f"{each:.0f}"] for name, each in spent.items()])
    judge(answers, splits.data.frame.iloc[splits.test], splits.data.classes)


if __name__ == "__main__":
    main()
