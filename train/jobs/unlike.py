"""How well a model refuses images of other kinds than those of its training, by kind.

Generated kinds come from the studied images: noise, flat colours, black frames, and the images
themselves blurred, rotated and inverted. `study.unlike` names folders with real ones. Of each kind
the table has the AUROC of unlikeness against the studied images (1: every one is less like the
training images than every studied one), and what the model answers.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageFilter
from sklearn.metrics import roc_auc_score

from conf.errors import UserError
from conf.schema import ImageModelStudy
from datasets.common.images import UNLIKE, BadImage, Thresholds, files, read_image, verdicts
from models.common import PROBABILITIES, UNLIKENESS, onnx_predict
from train.common.evaluation import metrics
from train.common.tracking.load import Registered, fetch_model
from train.jobs.image_prediction import window_of

log = logging.getLogger(__name__)

GENERATED = 200
"""Largest number of images of each generated kind."""
SURE = 0.9
BLUR = 1 / 16
"""Radius of the blur, as a share of the side."""
CAPTION = (
    "Images of other kinds than those of the training, and first the studied images themselves. "
    "AUROC is that of unlikeness against the studied images, with an interval. An image is refused "
    f"as unlike the training images, or as not sure. Sure: predicted with over {SURE}."
)


def table(
    model: Registered, pixels: np.ndarray, clusters: np.ndarray, settings: ImageModelStudy
) -> pd.DataFrame | None:
    """One row per kind: kind, images, AUROC, shares refused and predicted; None without thresholds.

    `pixels` uint8 (N, S, S, 3) are the studied images, `clusters` (N,) their near-duplicates.
    """
    thresholds = Thresholds.of(model.metadata.get("abstention"))
    if thresholds is None or thresholds.unlikeness is None:
        if settings.study.unlike:
            raise UserError(
                f"study.unlike is given, and {model.uri} measures no unlikeness: train it with "
                "abstention.enabled=true"
            )
        return None
    path = fetch_model(model)

    def judged(kind: str, given: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
        answers = onnx_predict(path, given)
        probabilities, unlike = answers[PROBABILITIES], answers[UNLIKENESS]
        found = verdicts(thresholds, model.metadata["classes"], probabilities, unlike)
        refused = np.array([bool(each.abstained) for each in found])
        return {
            "kind": kind,
            "images": len(given),
            "unlike training": np.mean([each.reason == UNLIKE for each in found]),
            "refused": refused.mean(),
            "sure": (~refused & (probabilities.max(axis=1) > SURE)).mean(),
        }, unlike

    own, ours = judged("studied images", pixels)
    rows, first = [own | {"AUROC": ""}], int(clusters.max()) + 1
    for kind, other, groups in kinds(pixels, clusters, model, settings):
        row, theirs = judged(kind, other)
        if groups is None:
            groups = first + np.arange(len(other))
        found = separated(ours, theirs, np.concatenate([clusters, groups]), settings)
        rows.append(row | {"AUROC": metrics.cell(*found)})
    columns = ["kind", "images", "AUROC", "unlike training", "refused", "sure"]
    return pd.DataFrame(rows, columns=columns)


def separated(
    ours: np.ndarray, theirs: np.ndarray, clusters: np.ndarray, settings: ImageModelStudy
) -> tuple[float, float, float]:
    """AUROC of unlikeness of `theirs` against `ours`, and its interval over whole `clusters`."""
    scores = np.concatenate([ours, theirs])
    labels = np.repeat([0, 1], [len(ours), len(theirs)])

    def auroc(rows: np.ndarray) -> float:
        both = 0 < labels[rows].sum() < len(rows)
        return float(roc_auc_score(labels[rows], scores[rows])) if both else np.nan

    return metrics.interval(auroc, clusters, settings.metrics, settings.seed)


def kinds(
    pixels: np.ndarray, clusters: np.ndarray, model: Registered, settings: ImageModelStudy
) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
    """Name, images uint8 (n, S, S, 3) and clusters of each kind; None: each is its own cluster."""
    rng = np.random.default_rng(settings.seed)
    rows = np.sort(rng.permutation(len(pixels))[:GENERATED])
    some, groups, side = np.asarray(pixels[rows]), clusters[rows], pixels.shape[1]
    shape = (len(some), side, side, 3)
    yield "noise", rng.integers(0, 256, shape, np.uint8), None
    colours = rng.integers(0, 256, (len(some), 1, 1, 3), np.uint8)
    yield "flat colours", np.broadcast_to(colours, shape).copy(), None
    yield "black", np.zeros((1, side, side, 3), np.uint8), None
    blur = ImageFilter.GaussianBlur(BLUR * side)
    blurred = np.stack([np.asarray(Image.fromarray(each).filter(blur)) for each in some])
    yield "blurred", blurred, groups
    yield "rotated by 90 degrees", np.rot90(some, axes=(1, 2)).copy(), groups
    yield "inverted", 255 - some, groups
    for named in settings.study.unlike:
        yield Path(named).name, folder(Path(named), side, model, settings), None


def folder(home: Path, side: int, model: Registered, settings: ImageModelStudy) -> np.ndarray:
    """The readable images below `home`, at most `study.images`, evenly chosen: (n, S, S, 3)."""
    if not home.is_dir():
        raise UserError(f"study.unlike: {str(home)!r} is no folder; name one with images in it")
    found = sorted(files(home))
    count = min(len(found), settings.study.images)
    window, limit, read = window_of(model, settings), settings.dataset.max_pixels, []
    for place in np.linspace(0, len(found) - 1, count).round().astype(int):
        try:
            read.append(read_image(found[place], limit, window, side))
        except BadImage:
            log.warning("study.unlike: %s is no readable image", found[place])
    if not read:
        raise UserError(f"study.unlike: {str(home)!r} holds no image that can be read")
    return np.stack(read)
