"""Fine-tuning beside the seeds' recipe, interleaved in one run.

    python tests/benchmarks/training.py                      600 images, 2 + 4 epochs, 20 minutes
    python tests/benchmarks/training.py --images 3500 --epochs 20 \\
        --pipeline train_mobilenetv2ft --weights WEIGHTS.h5
    python tests/benchmarks/training.py --memory             500, 2,000 and 8,000 generated images

Images are those of endoscopy4 below SONDA_DATA, or generated ones where it is unset. The same
images, split by cluster, epochs, seed and weights for all (train_seeds.py, train_ours.py); they
take turns epoch by epoch, so that a busy machine is busy for all of them. The arithmetic limit is
what the recipe multiplies, counted from the graph, over the rate of a matrix product measured
between the turns.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.arithmetic import matrix_rate, operations
from tests.benchmarks.tables import judge, show
from tests.common import ROOT

NAMES = {
    "seeds": "(a) seeds' recipe",
    "plain": "(b) fit.cache=none, float32",
    "cached": "(c) the default",
    "exact": "(d) (c) in float32",
    "short": "(e) (c), 1 + 4 epochs, cosine from 3e-4",
}
SETTINGS = {
    "seeds": [],
    "plain": ["fit.cache=none", "fit.precision=float32"],
    "cached": [],
    "exact": ["fit.precision=float32"],
    "short": [
        "fit.warmup.epochs=1", "fit.finetune.epochs=4", "fit.schedule=cosine",
        "fit.finetune.learning_rate=3e-4",
    ],
}  # fmt: skip
RECIPE = {"images": 3500, "warmup": 2, "finetune": 20}
"""What is extrapolated to: images of all splits, and epochs."""
SIZES = (500, 2000, 8000)


@dataclass
class Trainer:
    """One of the ways, and what it said of each stage."""

    name: str
    folder: Path
    process: subprocess.Popen[str] = field(init=False)
    said: list[dict[str, Any]] = field(default_factory=list)

    def start(self, given: argparse.Namespace, overrides: list[str]) -> None:
        """Start it; it gets ready and waits."""
        script = "train_seeds.py" if self.name == "seeds" else "train_ours.py"
        asked = {
            "pipeline": given.pipeline,
            "images": given.images,
            "answers": str(self.folder / f"{self.name}.npy"),
            "overrides": [*overrides, f"env.cache={self.folder}/{self.name}", *SETTINGS[self.name]],
        }
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        environment.pop("TF_ENABLE_ONEDNN_OPTS", None)
        self.process = subprocess.Popen(
            [sys.executable, f"tests/benchmarks/{script}", json.dumps(asked)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(self.folder / f"{self.name}.log").open("w"),
            text=True,
        )

    def turn(self) -> bool:
        """Let it work until it has finished a stage; False once it has ended."""
        assert self.process.stdin is not None and self.process.stdout is not None
        if self.said:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("{"):
                self.said.append(json.loads(line))
                return self.said[-1]["stage"] != "end"
        raise SystemExit(
            f"{self.name} died:\n{(self.folder / f'{self.name}.log').read_text()[-3000:]}"
        )

    def stages(self, stage: str) -> list[dict[str, Any]]:
        """What it said of every `stage`."""
        return [each for each in self.said if each["stage"] == stage]

    @property
    def seconds(self) -> float:
        """Of reading and all epochs."""
        return sum(each["seconds"] for each in self.said if "seconds" in each)

    @property
    def peak_mb(self) -> float:
        """Largest resident memory until the test images were answered."""
        return self.stages("test")[0]["peak_mb"]

    @property
    def last(self) -> dict[str, Any]:
        """What it said of the last epoch."""
        return self.stages("epoch")[-1]

    def milliseconds(self, kind: str) -> float:
        """Median over the timed steps, an image."""
        return float(np.median([each["milliseconds"][kind] for each in self.stages("steps")]))

    def kinds(self) -> list[str]:
        """The kinds of steps that were timed."""
        return list(self.stages("steps")[0]["milliseconds"])


def run(trainers: list[Trainer]) -> float:
    """Turns until all have ended; returns the best matrix product rate in between, FLOP/s."""
    alive, rate = list(trainers), 0.0
    try:
        while alive:
            alive = [trainer for trainer in alive if trainer.turn()]
            rate = max(rate, matrix_rate())
            print(".", end="", file=sys.stderr, flush=True)
    finally:
        for trainer in trainers:
            trainer.process.kill()
    return rate


def recipe_seconds(trainer: Trainer, counts: dict[str, int], views: int) -> float:
    """The whole recipe of `RECIPE` from measured steps; reading is left out."""
    ms, train, validation = trainer.milliseconds, counts["train"], counts["validation"]
    if trainer.name in ("seeds", "plain"):
        epoch = train * (ms("training step") + ms("augmentation")) + validation * ms("validation")
        return (RECIPE["warmup"] + RECIPE["finetune"]) * epoch / 1000
    frozen = views * train * (ms("frozen layers, OpenVINO") + ms("augmentation"))
    frozen += validation * ms("frozen layers, OpenVINO")
    warmup = (min(views, RECIPE["warmup"]) * train + validation) * ms("validation")
    tuned = RECIPE["finetune"] * (train * ms("training step") + validation * ms("validation"))
    return (frozen + warmup + tuned) / 1000


def limit_seconds(
    counts: dict[str, int], views: int, flops: dict[str, float], rate: float
) -> float:
    """What the multiplications of the cached recipe take at `rate`."""
    train, validation = counts["train"], counts["validation"]
    frozen = (views * train + validation) * flops["frozen"]
    warmup = (min(views, RECIPE["warmup"]) * train + validation) * flops["tail"]
    tuned = RECIPE["finetune"] * (train * flops["tail step"] + validation * flops["tail"])
    return (frozen + warmup + tuned) / rate


def sooner(trainer: Trainer, seeds: Trainer) -> str:
    """When `trainer` first reached the accuracy on validation that `seeds` ended with."""
    goal, name = seeds.last["val_accuracy"], NAMES[trainer.name]
    spent = 0.0
    for number, each in enumerate(trainer.stages("epoch"), 1):
        spent += each["seconds"]
        if each["val_accuracy"] >= goal:
            whole = sum(epoch["seconds"] for epoch in seeds.stages("epoch"))
            return (
                f"{name}: {whole / spent:.1f} times sooner at (a)'s final validation accuracy of "
                f"{goal:.3f}, after {number} epochs"
            )
    return f"{name} did not reach (a)'s final validation accuracy, {goal:.3f}"


def compare(given: argparse.Namespace) -> None:
    """Run them all and print the tables."""
    overrides = [
        *given.overrides, f"model.weights={given.weights}", "split.by=cluster",
        f"fit.warmup.epochs={given.warmup}", f"fit.finetune.epochs={given.epochs}",
    ]  # fmt: skip
    data = os.environ.get("SONDA_DATA")
    if data:
        overrides += [
            "dataset.source=directory",
            f"dataset.path={Path(data, 'endoscopy4').resolve()}",
        ]
    else:
        overrides += ["dataset.source=sample", f"dataset.sample_images={given.images // 4}"]
    with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
        trainers = {name: Trainer(name, Path(scratch)) for name in given.ways}
        for trainer in trainers.values():
            trainer.start(given, overrides)
        rate = run(list(trainers.values()))
        report(given, trainers, rate, overrides)


def report(
    given: argparse.Namespace, trainers: dict[str, Trainer], rate: float, overrides: list[str]
) -> None:
    """Print everything that was measured."""
    from datasets.kvasir4.dataset import build as build_images
    from tests.common import configuration

    config = configuration(
        f"+pipeline={given.pipeline}", "env=production", *overrides,
        f"env.cache={trainers['cached'].folder}/cached",
    )  # fmt: skip
    images = build_images(config.dataset, Path(config.env.cache))
    seeds, cached = trainers["seeds"], trainers["cached"]
    title = f"{given.images} images, {given.warmup} + {given.epochs} epochs"
    lines = [
        [NAMES[name], f"{t.seconds:.0f}", f"{t.peak_mb:.0f}", f"{t.last['val_accuracy']:.3f}"]
        for name, t in trainers.items()
    ]
    show([title, "wall-clock, s", "peak memory, MB", "accuracy on validation, last"], lines)
    kinds = dict.fromkeys(kind for trainer in trainers.values() for kind in trainer.kinds())
    lines = [
        [k, *(f"{t.milliseconds(k):.1f}" if k in t.kinds() else "" for t in trainers.values())]
        for k in kinds
    ]
    show(["ms an image, median", *(NAMES[name] for name in trainers)], lines)
    rows = np.array(seeds.stages("test")[0]["rows"])
    answers = {NAMES[name]: np.load(t.folder / f"{name}.npy") for name, t in trainers.items()}
    judge(answers, images.frame.iloc[rows], images.classes)
    counts = {"train": round(0.7 * RECIPE["images"]), "validation": round(0.15 * RECIPE["images"])}
    views = config.fit.views or RECIPE["finetune"] + RECIPE["warmup"]
    recipe = {
        name: recipe_seconds(trainer, counts, views)
        for name, trainer in trainers.items()
        if name != "short"  # another recipe
    }
    limit = limit_seconds(counts, views, operations(config), rate)
    faster = seeds.seconds / cached.seconds
    print(f"\nmeasured: (c) {faster:.1f} times faster than (a), reading included")
    minutes = ", ".join(f"{NAMES[name]} {each / 60:.0f} min" for name, each in recipe.items())
    print(
        f"from the steps, {RECIPE['warmup']} + {RECIPE['finetune']} epochs of {counts['train']} "
        f"images, {counts['validation']} for validation: {minutes}"
    )
    print(f"{recipe['seeds'] / recipe['cached']:.1f} times faster")
    for name in sorted({"cached", "short"} & set(trainers)):
        print(sooner(trainers[name], seeds))
    print(f"arithmetic limit of (c) at {rate / 1e9:.0f} GFLOP/s in float32: {limit / 60:.0f} min")
    for name in sorted({"cached", "exact"} & set(trainers)):
        print(f"the steps of {NAMES[name]} take {recipe[name] / limit:.2f} times that")


def memory(given: argparse.Namespace) -> None:
    """Peak memory of (c) at three numbers of images, and of (a) at that of the recipe."""
    lines = []
    for name, images in [("cached", n) for n in SIZES] + [("seeds", RECIPE["images"])]:
        overrides = [
            *given.overrides, "model.weights=none", "split.by=cluster", "dataset.source=sample",
            f"dataset.sample_images={images // 4}", "fit.warmup.epochs=0", "fit.finetune.epochs=1",
        ]  # fmt: skip
        with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
            trainer = Trainer(name, Path(scratch))
            asked = argparse.Namespace(images=images, pipeline=given.pipeline)
            trainer.start(asked, overrides)
            run([trainer])
        lines.append([NAMES[name], str(images), f"{trainer.peak_mb:.0f}"])
        print(lines[-1], file=sys.stderr)
    show(["", "generated images", "peak memory, MB"], lines)


def main() -> None:
    """Compare the ways, or measure memory."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pipeline", default="train_resnet50v2ft")
    parser.add_argument("--images", type=int, default=600, help="of all splits together")
    parser.add_argument("--epochs", type=int, default=4, help="of fine-tuning")
    parser.add_argument("--warmup", type=int, default=2, help="epochs of warm-up")
    parser.add_argument("--weights", default="none", help="imagenet, none or a path")
    parser.add_argument(
        "--ways", nargs="*", choices=NAMES, default=list(NAMES), help="seeds and cached, and more"
    )
    parser.add_argument("--scratch", help="folder for temporary files")
    parser.add_argument("--memory", action="store_true", help="peak memory at three sizes instead")
    parser.add_argument("overrides", nargs="*", help="settings, such as fit.views=2")
    given = parser.parse_intermixed_args()
    if not {"seeds", "cached"} <= set(given.ways):
        parser.error("--ways needs seeds and cached, which are what is compared")
    os.environ.setdefault("MLFLOW_TRACKING_URI", "sqlite://")  # env=production asks for one
    started = time.monotonic()
    memory(given) if given.memory else compare(given)
    print(f"\n{(time.monotonic() - started) / 60:.0f} minutes", file=sys.stderr)


if __name__ == "__main__":
    main()
