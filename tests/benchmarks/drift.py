"""False alarms of drift without any shift, and predictions until an alarm after a shift.

    MLFLOW_TRACKING_URI=sqlite:////tmp/drift.db python tests/benchmarks/drift.py \
        train_efficientnetliteft env=development
    ... train_efficientnetliteft --run <run id> env=production dataset.path=...

Without `--run` it trains first. The model that is served predicts held-back images: the test images
of the run, or, of a generated sample, `--images` of each class drawn with another seed. Windows and
streams are drawn from these predictions without replacement, one image a prediction. The first
table has two columns: with the profile of the model, whose luck all windows share, and with a new
profile for each window, of as many held-back images, which are not in the window.
"""

import argparse
import sys
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter
from scipy.stats import binomtest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from conf.schema import Source
from datasets.common.images import Profile, Thresholds, profile, verdicts
from deploy.serving.images.drift import FEWEST, WINDOW, compared
from models.common import PROBABILITIES, UNLIKENESS, onnx_predict
from tests.benchmarks.hiding import trained
from tests.benchmarks.tables import show
from tests.common import configuration
from train.common.data.build import build_images
from train.common.data.pixels import decode
from train.common.tracking.load import FoldRun, fetch_model, fetch_table, registered

WINDOWS = (50, 100, 200, 400)
LOOK = 25
"""Predictions between two looks at a stream."""
ORDINARY = 300
"""Predictions of ordinary images before the shift, in the second column of delays."""
OTHER_SEED = 1_000
MIX = 0.7
"""Share of the first class in another mix of classes."""

Answers = tuple[np.ndarray, np.ndarray | None]
"""Probabilities (N, classes) and unlikeness (N,)."""


def shifted(pixels: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Names of shifts, and the images uint8 (N, S, S, 3) after each."""
    radius = pixels.shape[1] / 112
    yield "darker, 0.7 of the light", _scaled(pixels, 0.7)
    yield "brighter, 1.3 times the light", _scaled(pixels, 1.3)
    yield "another colour, blue at 0.8", _scaled(pixels, np.array([1.0, 1.0, 0.8]))
    yield f"blur, {radius:g} pixels", np.stack([_blurred(each, radius) for each in pixels])


def _scaled(pixels: np.ndarray, factor: float | np.ndarray) -> np.ndarray:
    return np.clip(np.rint(pixels * factor), 0, 255).astype(np.uint8)


def _blurred(pixels: np.ndarray, radius: float) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def held_back(words: list[str], run: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 (N, S, S, 3) and labels (N,) of images that the run has not seen."""
    settings = configuration(*words)
    generated = settings.dataset.source == Source.sample
    if generated:
        other = [f"dataset.seed={settings.dataset.seed + OTHER_SEED}", f"dataset.limit={count}"]
        settings = configuration(*words, *other, f"dataset.sample_images={count}")
    cache = Path(settings.env.cache)
    images = build_images(settings.dataset, cache)
    pixels = decode(images, settings.dataset, settings.transform, cache)
    rows = np.arange(len(images.frame))
    if not generated:
        splits = fetch_table(FoldRun(run, {}), "data/splits.csv")
        tested = splits.loc[splits["split"] == "test", "file"]
        rows = np.flatnonzero(images.frame["file"].isin(tested))
    return pixels.read(rows), images.frame["label"].to_numpy()[rows]


class Judge:
    """The model of a run, with its profile."""

    def __init__(self, words: list[str], run: str) -> None:
        model = registered(configuration(*words), f"runs:/{run}/serving")
        known = Profile.of(model.metadata.get("drift"))
        if known is None:
            raise SystemExit(f"run {run} has no profile: train with more validation images")
        self.profile = known
        self.classes: list[str] = model.metadata["classes"]
        self._path = fetch_model(model)
        self._thresholds = Thresholds.of(model.metadata.get("abstention"))

    def answers(self, pixels: np.ndarray) -> Answers:
        """What the model answers to images (N, S, S, 3)."""
        found = onnx_predict(self._path, pixels)
        return found[PROBABILITIES], found.get(UNLIKENESS)

    def rows(self, given: Answers) -> np.ndarray:
        """What a service counts of answers, int64 (N, 4)."""
        return self.profile.rows(*given, verdicts(self._thresholds, self.classes, *given))

    def with_profile(self, given: Answers) -> "Judge":
        """The same model with the profile of other answers."""
        found = copy(self)
        other = profile(self._thresholds, self.classes, *given)
        assert other
        found.profile = other
        return found

    def alarm(self, rows: np.ndarray) -> bool:
        """Whether the last of `rows` raise an alarm."""
        return bool(compared(self.profile, rows[-WINDOW:], self.classes)["alarm"])

    def first_alarm(self, before: np.ndarray, rows: np.ndarray) -> int | None:
        """After how many of `rows`, which follow `before`, there is an alarm; None: never."""
        for count in range(LOOK, len(rows) + 1, LOOK):
            if len(before) + count >= FEWEST and self.alarm(np.vstack([before, rows[:count]])):
                return count
        return None


def _chosen(given: Answers, rows: np.ndarray) -> Answers:
    probabilities, unlikeness = given
    return probabilities[rows], None if unlikeness is None else unlikeness[rows]


def mixed(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An order of images in which a share of `MIX` is of the first class, while there are any."""
    first, rest = (rng.permutation(np.flatnonzero((labels == 0) == is_)) for is_ in (True, False))
    count = min(int(len(first) / MIX), len(labels))
    own = rng.random(count) < MIX
    own &= np.cumsum(own) <= len(first)
    order = np.empty(count, int)
    order[own], order[~own] = first[: own.sum()], rest[: (~own).sum()]
    return order


def delay(found: list[int | None]) -> str:
    """Median of delays, their range, and how many alarms there were."""
    seen = sorted(each for each in found if each is not None)
    if not seen:
        return f"no alarm in {len(found)}"
    missed = "" if len(seen) == len(found) else f", {len(found) - len(seen)} without"
    return f"{int(np.median(seen))} ({seen[0]} to {seen[-1]}{missed})"


def share(alarms: list[bool]) -> str:
    """Share of alarms with its exact interval."""
    found = binomtest(sum(alarms), len(alarms))
    low, high = found.proportion_ci()
    return f"{found.statistic:.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    """Measure, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pipeline", help="train_<model>")
    parser.add_argument("--run", help="a finished run; without it, it trains")
    parser.add_argument("--images", type=int, default=200, help="generated images of each class")
    parser.add_argument("--windows", type=int, default=200, help="windows of each size")
    parser.add_argument("--streams", type=int, default=40)
    parser.add_argument("overrides", nargs="*", help="settings of the training")
    given = parser.parse_intermixed_args()
    words = [f"+pipeline={given.pipeline}", *given.overrides]
    run = given.run or trained(words)
    judge, (pixels, labels) = Judge(words, run), held_back(words, run, given.images)
    answered = judge.answers(pixels)
    ordinary, known = judge.rows(answered), judge.profile.counts.images
    rng = np.random.default_rng(0)

    def drawn(size: int) -> np.ndarray:
        return ordinary[rng.permutation(len(ordinary))[:size]]

    def exchanged(size: int) -> tuple[Judge, np.ndarray]:
        """A judge with the profile of some held-back images, and the rows of `size` others."""
        order = rng.permutation(len(ordinary))
        one, other = (_chosen(answered, part) for part in (order[:known], order[known:][:size]))
        fresh = judge.with_profile(one)
        return fresh, fresh.rows(other)

    lines = []
    for size in WINDOWS:
        if size <= (len(ordinary) - known) / 2:
            own = [judge.alarm(drawn(size)) for _ in range(given.windows)]
            pairs = (exchanged(size) for _ in range(given.windows))
            new = [fresh.alarm(rows) for fresh, rows in pairs]
            lines.append([f"{size} predictions", share(own), share(new)])
    length = min(WINDOW, len(ordinary) - known)
    none = ordinary[:0]
    own = [judge.first_alarm(none, drawn(length)) is not None for _ in range(given.streams)]
    pairs = (exchanged(length) for _ in range(given.streams))
    new = [fresh.first_alarm(none, rows) is not None for fresh, rows in pairs]
    lines.append([f"once in {length} predictions, a look every {LOOK}", share(own), share(new)])
    heads = ["false alarms with the model's profile", "with a new profile each time"]
    show([f"{len(ordinary)} held-back images", *heads], lines)

    rows: list[tuple[str, Any, Any]] = [
        (name, judge.rows(judge.answers(each)), rng.permutation) for name, each in shifted(pixels)
    ]
    rows.append((f"another mix, {MIX:.0%} class 0", ordinary, lambda _: mixed(labels, rng)))
    lines = []
    for name, found, order in rows:
        cells = []
        for before in (0, ORDINARY):
            if len(found) - before < FEWEST:
                cells.append("too few images")
                continue
            delays = []
            for _ in range(given.streams):
                chosen = order(len(found))[: len(found) - before]
                delays.append(judge.first_alarm(drawn(before), found[chosen]))
            cells.append(delay(delays))
        lines.append([name, *cells])
    show(["shift", "predictions until the alarm", f"after {ORDINARY} ordinary ones"], lines)
    print(f"\n- Run {run}: {judge.profile.counts.images} validation images.")


if __name__ == "__main__":
    main()
