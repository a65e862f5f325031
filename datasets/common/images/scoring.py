"""Score files, each with its probabilities or the reason why it has none.

The batch job and the command line both score with it, so neither skips a file that the other
reports.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from datasets.common.images.abstention import UNJUDGED, Verdict
from datasets.common.images.types import BadImage

Load = Callable[[Path], list[np.ndarray]]
"""From a file to its frames, uint8 (S, S, 3). Raises `BadImage`."""
Predict = Callable[[np.ndarray], tuple[np.ndarray, list[Verdict]]]
"""From images (B, S, S, 3) to probabilities (B, classes), and the verdict on each."""


@dataclass(frozen=True)
class Scored:
    """One image of a file."""

    path: Path
    frame: int | None
    """Number of the frame, if the file has several."""
    probabilities: np.ndarray | None
    """(classes,); None if there is a `bad` image."""
    bad: BadImage | None = None
    verdict: Verdict = UNJUDGED


Waiting = tuple[Path, int | None, np.ndarray | BadImage]


def score_files(
    paths: Sequence[Path], load: Load, predict: Predict, batch_size: int = 1, workers: int = 1
) -> Iterator[Scored]:
    """One `Scored` for each image of `paths`, in their order.

    `workers` threads load files; `predict` gets at least `batch_size` images, except for the last.
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting: list[Waiting] = []
        for found in pool.map(partial(_frames, load), paths):
            waiting += found
            if len(waiting) >= batch_size:
                yield from _predicted(waiting, predict)
                waiting = []
        yield from _predicted(waiting, predict)


def _frames(load: Load, path: Path) -> list[Waiting]:
    try:
        found = load(path)
    except BadImage as bad:
        return [(path, None, bad)]
    several = len(found) > 1
    return [(path, number if several else None, pixels) for number, pixels in enumerate(found)]


def _predicted(waiting: list[Waiting], predict: Predict) -> Iterator[Scored]:
    pixels = [found for _, _, found in waiting if isinstance(found, np.ndarray)]
    rows = zip(*predict(np.stack(pixels)), strict=True) if pixels else iter(())
    for path, frame, found in waiting:
        if isinstance(found, BadImage):
            yield Scored(path, frame, None, found)
        else:
            probabilities, verdict = next(rows)
            yield Scored(path, frame, probabilities, verdict=verdict)
