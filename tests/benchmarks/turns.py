"""What the trainers of `training.py` share: their turns, their settings and their images.

A trainer says a line of JSON after each stage, and waits for a line before it goes on. Stages:
ready, read, an epoch each, test, steps, end.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tests.common import configuration
from train.common.data.split import split_images
from train.common.data.types import Splits

GIVEN = json.loads(sys.argv[1])
"""What `training.py` asks for: pipeline, images, answers (a path), overrides."""
STEPS = 6
"""Steps of each kind that are timed at the end."""


def say(stage: str, **facts: Any) -> None:
    """Report a finished stage, and wait for one's turn."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"stage": stage, "peak_mb": peak, **facts}), flush=True)
    sys.stdin.readline()


def settings() -> Any:
    """The configuration of all three."""
    return configuration(f"+pipeline={GIVEN['pipeline']}", "env=production", *GIVEN["overrides"])


def chosen(images: Any, config: Any) -> Splits[Any]:
    """The splits, thinned to about `images` in all, the same for every trainer."""
    splits = split_images(images, config.split)
    rng = np.random.default_rng(0)
    share = min(1.0, GIVEN["images"] / len(images.frame))

    def thin(rows: np.ndarray) -> np.ndarray:
        return np.sort(rng.permutation(rows)[: max(1, round(share * len(rows)))])

    return replace(
        splits,
        train=thin(splits.train),
        validation=thin(splits.validation),
        test=thin(splits.test),
    )


def time_steps(kinds: dict[str, Callable[[], Any]], count: int) -> None:
    """Time one batch of `count` images of each kind, in turns with the other trainers."""
    for work in kinds.values():
        work()  # traces and compiles
    for _ in range(STEPS):
        taken = {}
        for name, work in kinds.items():
            started = time.perf_counter()
            work()
            taken[name] = 1000 * (time.perf_counter() - started) / count
        say("steps", milliseconds=taken)
