"""Score a folder with a registered model: `python -m models +pipeline=predict_<model>`.

The model is `serving`, the ONNX file that is deployed, and the reader is that of the dataset, so
the probabilities are those of the service. TensorFlow is not used.
"""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
from omegaconf import DictConfig
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from conf.errors import UserError
from conf.schema import ImagePrediction, typed
from datasets.common.digests import why
from datasets.common.images import BadImage, Window, files, opened, read, shown
from models.common import PROBABILITIES
from train.common.tracking.load import Registered, fetch_model, registered
from train.common.tracking.log import tracked_run
from train.jobs.scoring import Scores, answer, report

log = logging.getLogger(__name__)

Seen = tuple[Path, int | None, np.ndarray | str]
"""A file, the number of the frame if it has several, and the pixels or why there are none."""


def job(config: DictConfig) -> Path:
    """The Parquet file, one row per image: file, frame, modified, label, probabilities, reason.

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
        with Scores(columns, model, str(root), settings, run) as scores:
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
    predict, classes = settings.predict, model.metadata["classes"]
    session = onnxruntime.InferenceSession(fetch_model(model), providers=["CPUExecutionProvider"])
    size, limit = session.get_inputs()[0].shape[1], settings.dataset.max_pixels
    window = window_of(model, settings)
    bar = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with ThreadPoolExecutor(predict.workers) as pool, Progress(*bar) as progress:
        task = progress.add_task("scoring", total=len(paths))
        for start in range(0, len(paths), predict.part_size):
            chosen = paths[start : start + predict.part_size]
            per_file = pool.map(lambda path: images(path, size, window, limit), chosen)
            rows: list[dict[str, Any]] = []
            waiting: list[Seen] = []
            for seen in per_file:
                waiting += seen
                if len(waiting) >= predict.batch_size:
                    rows += answers(waiting, root, session, classes)
                    waiting = []
                progress.advance(task)
            scores.write(rows + answers(waiting, root, session, classes))


def window_of(model: Registered, settings: ImagePrediction) -> Window:
    """The DICOM window of the training; that of the dataset if the model has none."""
    ours = Window(settings.dataset.dicom.centre, settings.dataset.dicom.width)
    known = model.metadata.get("dicom_window")
    theirs = ours if known is None else Window(*known)
    if theirs != ours:
        log.warning("the DICOM window of the training is used, %s instead of %s", theirs, ours)
    return theirs


def images(path: Path, size: int, window: Window, max_pixels: int) -> list[Seen]:
    """The frames of a file, each uint8 (size, size, 3), or the reason why there are none."""
    try:
        with opened(path) as file:
            found = [picture.pixels for picture in read(file, max_pixels, window, size)]
    except BadImage as bad:
        return [(path, None, why(bad))]
    several = len(found) > 1
    return [(path, number if several else None, pixels) for number, pixels in enumerate(found)]


def answers(
    seen: list[Seen], root: Path, session: onnxruntime.InferenceSession, classes: list[str]
) -> list[dict[str, Any]]:
    """One row for each of `seen`; the readable ones are scored as one batch."""
    pixels = [found for _, _, found in seen if not isinstance(found, str)]
    scored: Iterator[np.ndarray] = iter(())
    if pixels:
        name = session.get_inputs()[0].name
        scored = iter(session.run([PROBABILITIES], {name: np.stack(pixels)})[0])
    rows = []
    for path, frame, found in seen:
        row: dict[str, Any] = {
            "file": shown(path.relative_to(root)),
            "frame": frame,
            "modified": modified(path),
        }
        if isinstance(found, str):
            row["reason"] = found
        else:
            row |= answer(next(scored), classes)
        rows.append(row)
    return rows
