"""How long a command takes until it does what it is for, in fresh processes.

    python tests/benchmarks/startup.py

`--help`, beside the imports that no training can do without; and a training at 224 pixels, up to
the end of a first epoch of one step, twice: the second one finds the sample, its pixels and its
activations.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.tables import show
from tests.common import ROOT

ROUNDS = 3
SHORT = {
    "import tensorflow, mlflow": ["-c", "import tensorflow, mlflow"],
    "python -m train --help": ["-m", "train", "--help"],
}
TRAINING = [
    "-m", "train", "+pipeline=train_resnet50v2ft", "env=development", "dataset.sample_images=10",
    "env.limits.image_size=224", "fit.warmup.epochs=1", "fit.finetune.epochs=0",
    "metrics.bootstrap=10", "fit.resume=false",
]  # fmt: skip
SIGNS = {
    "MLflow run": "the MLflow run is open",
    "split by": "images are read and split",
    "backbone weights": "the network is built",
    "epoch 1, warmup": "the first epoch is over",
}
"""What a training says, and what has happened by then."""


def seconds(arguments: list[str]) -> float:
    """Of `python <arguments>`, as a process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - started


def training(folder: Path) -> list[float]:
    """Seconds until each of `SIGNS`."""
    places = [f"env.cache={folder}/cache", f"hydra.run.dir={folder}/outputs"]
    started, seen = time.perf_counter(), dict.fromkeys(SIGNS, float("nan"))
    process = subprocess.Popen(
        [sys.executable, *TRAINING, *places],
        cwd=ROOT,
        env=os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        for sign in (sign for sign in SIGNS if sign in line and np.isnan(seen[sign])):
            seen[sign] = time.perf_counter() - started
        if not np.isnan(seen["epoch 1, warmup"]):
            process.kill()
    process.wait()
    return list(seen.values())


def main() -> None:
    """Time everything and print two tables."""
    taken: dict[str, list[float]] = {name: [] for name in SHORT}
    for _ in range(ROUNDS):
        for name, arguments in SHORT.items():
            taken[name].append(seconds(arguments))
    show(["", "s, median"], [[name, f"{np.median(each):.1f}"] for name, each in taken.items()])
    with tempfile.TemporaryDirectory() as folder:
        first, second = (training(Path(folder)) for _ in range(2))
    lines = zip(SIGNS.values(), first, second, strict=True)
    show(
        ["seconds until", "first run", "second run"],
        [[what, f"{one:.1f}", f"{two:.1f}"] for what, one, two in lines],
    )


if __name__ == "__main__":
    main()
