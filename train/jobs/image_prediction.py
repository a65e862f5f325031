"""Score a folder with a registered model: `python -m models +pipeline=predict_<model>`.

The model is `serving`, the ONNX file that is deployed, and the reader is that of the dataset, so
the probabilities are those of the service. TensorFlow is not used.
"""

import functools
import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
from omegaconf import DictConfig
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from conf.errors import UserError
from conf.schema import ImageModelStudy, ImagePrediction, typed
from datasets.common.digests import why
from datasets.common.images import (
    Scored,
    Thresholds,
    Verdict,
    Window,
    files,
    opened,
    read,
    score_files,
    shown,
    verdicts,
)
from models.common import PROBABILITIES, UNLIKENESS
from train.common.tracking.load import Registered, fetch_model, registered
from train.common.tracking.log import tracked_run
from train.jobs.scoring import BECAUSE, Scores, answer, report

log = logging.getLogger(__name__)

WITHHELD = (
    pa.field("abstained", pa.bool_()),
    pa.field(BECAUSE, pa.string()),
    pa.field("set", pa.list_(pa.string())),
)
"""Columns of the verdict on an image; null for a model without thresholds."""


def job(config: DictConfig) -> Path:
    """The Parquet file, one row per image: file, frame, modified, label, probabilities, reason.

    `abstained`, `abstained_because` and `set` say whether the model abstains, why, and which
    classes are possible.

    Raises `UserError` if a file was changed after it was scored.
    """
    settings = typed(config, ImagePrediction)
    with tracked_run(settings) as run:
        root = Path(settings.predict.input).expanduser().absolute()
        found = listed(root, Path(settings.predict.output).expanduser().absolute())
        model = registered(settings, settings.predict.model_uri)
        columns = [
            pa.field("file", pa.string()),
            pa.field("frame", pa.int32()),
            pa.field("modified", pa.timestamp("us", "UTC")),
        ]
        with Scores(columns, model, str(root), settings, run, WITHHELD) as scores:
            rest = unscored(found, root, dict(scores.known("file", "modified")), scores.output)
            log.info("%d files, %d of them scored already", len(found), len(found) - len(rest))
            started = time.perf_counter()
            if rest:
                score(rest, root, scores, model, settings)
            scores.close()
            seconds = time.perf_counter() - started
            run.log_report(report(scores, model, len(rest), seconds))
        log.info("%s: scored %d of %d files in this run", scores.output, len(rest), len(found))
        return scores.output


def listed(root: Path, output: Path) -> list[Path]:
    """Every file below `root`, sorted. Raises `UserError` if there is none."""
    if shown(root) != root.as_posix():
        raise UserError(f"predict.input='{shown(root)}': this name is not UTF-8; rename the folder")
    if not root.is_dir():
        raise UserError(f"predict.input={str(root)!r} is no folder; name one with images in it")
    if output.is_relative_to(root):
        raise UserError(f"predict.output={output} lies in predict.input={root}; choose another")
    found = sorted(files(root))
    if not found:
        raise UserError(f"predict.input={str(root)!r} holds no file; name a folder of images")
    return found


def unscored(
    found: list[Path], root: Path, known: dict[str, datetime | None], output: Path
) -> list[Path]:
    """Files of `found` that are not in `known`, which has the last change of each file by name."""
    rest = []
    for path in found:
        name = shown(path.relative_to(root))
        if name not in known:
            rest.append(path)
        elif known[name] != modified(path):
            raise UserError(
                f"{path} was changed after it was scored, and {output} has the old prediction: "
                "choose another predict.output, or remove it and its .parts"
            )
    return rest


def modified(path: Path) -> datetime | None:
    """Time of the last change of `path`, in microseconds; None if it cannot be read."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime_ns // 1000 / 1e6, UTC)
    except OSError:
        return None


def score(
    paths: list[Path], root: Path, scores: Scores, model: Registered, settings: ImagePrediction
) -> None:
    """Score `paths` and write them, a part at a time."""
    given, classes = settings.predict, model.metadata["classes"]
    session = onnxruntime.InferenceSession(fetch_model(model), providers=["CPUExecutionProvider"])
    name, size = session.get_inputs()[0].name, session.get_inputs()[0].shape[1]
    window, limit = window_of(model, settings), settings.dataset.max_pixels

    thresholds = Thresholds.of(model.metadata.get("abstention"))
    judged = thresholds is not None and thresholds.unlikeness is not None
    outputs = [PROBABILITIES, UNLIKENESS] if judged else [PROBABILITIES]

    def predict(pixels: np.ndarray) -> tuple[np.ndarray, list[Verdict]]:
        probabilities, *unlikeness = session.run(outputs, {name: pixels})
        given = unlikeness[0] if unlikeness else None
        return probabilities, verdicts(thresholds, classes, probabilities, given)

    load = functools.partial(frames, size=size, window=window, max_pixels=limit)
    bar = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*bar) as progress:
        task = progress.add_task("scoring", total=len(paths))
        for start in range(0, len(paths), given.part_size):
            part = paths[start : start + given.part_size]
            rows = []
            for scored in score_files(part, load, predict, given.batch_size, given.workers):
                rows.append(row(scored, root, classes))
                progress.advance(task, 0 if scored.frame else 1)
            scores.write(rows)


def window_of(model: Registered, settings: ImagePrediction | ImageModelStudy) -> Window:
    """The DICOM window of the training; that of the dataset if the model has none."""
    ours = Window(settings.dataset.dicom.centre, settings.dataset.dicom.width)
    known = model.metadata.get("dicom_window")
    theirs = ours if known is None else Window(*known)
    if theirs != ours:
        log.warning("the DICOM window of the training is used, %s instead of %s", theirs, ours)
    return theirs


def frames(path: Path, size: int, window: Window, max_pixels: int) -> list[np.ndarray]:
    """The frames of a file, each uint8 (size, size, 3). Raises `BadImage`."""
    with opened(path) as file:
        return [picture.pixels for picture in read(file, max_pixels, window, size)]


def row(scored: Scored, root: Path, classes: list[str]) -> dict[str, Any]:
    """One row of the Parquet file."""
    path = scored.path
    known = {
        "file": shown(path.relative_to(root)),
        "frame": scored.frame,
        "modified": modified(path),
    }
    if scored.probabilities is None:
        assert scored.bad is not None
        return known | {"reason": why(scored.bad)}
    return known | answer(scored.probabilities, classes) | withheld(scored.verdict)


def withheld(verdict: Verdict) -> dict[str, Any]:
    """The columns of the verdict on an image."""
    return {"abstained": verdict.abstained, BECAUSE: verdict.reason, "set": verdict.set}
