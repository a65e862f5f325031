"""The networks of all folds as one registered model: `publish.ensemble=true`.

Each image was a training image of all folds but one, so none is left to test the ensemble: what the
run publishes are the figures of single networks. The thresholds of abstention come from the
predictions of all images by the fold that was not trained on them.
"""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from conf.errors import UserError
from conf.schema import ImageTraining, Precision
from datasets.common.images import Thresholds
from models.ensemble import ensemble
from train.common.data.build import build_images
from train.common.data.pixels import decode
from train.common.data.types import DecodedImages, Report, Splits, TrainedModel
from train.common.evaluation.words import titles
from train.common.export.images import publish
from train.common.fitting.calibrate import choose, reference
from train.common.tracking.load import FoldRun, keras_uri, load_keras

log = logging.getLogger(__name__)

VALIDATED = 8
"""Images on which ONNX is compared with Keras."""


def check(settings: ImageTraining) -> None:
    """Raise `UserError` if `publish.ensemble` does not fit the other settings."""
    if settings.publish.ensemble and settings.publish.precision == Precision.int8:
        raise UserError(
            "publish.ensemble=true and publish.precision=int8: no image is left to measure what "
            "int8 loses; choose publish.precision=fp32"
        )


def export_ensemble(runs: dict[int, FoldRun], report: Report, settings: ImageTraining) -> None:
    """Register the mean of the logits of the networks of all `runs`; `report` is their pooled one.

    Raises `UserError` if a run logged no network, or if their frozen layers differ.
    """
    networks = [load_keras(keras_uri(run.run_id, f"fold {k}")) for k, run in sorted(runs.items())]
    cache = Path(settings.env.cache)
    images = build_images(settings.dataset, cache)
    pixels = decode(images, settings.dataset, settings.transform, cache)
    model = ensemble(networks, settings.model.freeze)
    everything = np.arange(len(pixels.frame))
    splits = Splits(pixels, everything, everything[:VALIDATED], everything[:0], images.digest)
    trained = TrainedModel(model, pd.DataFrame(), 0, lambda: None)
    if settings.abstention.enabled:
        found = thresholds(report.tables["predictions"], splits, settings)
        trained = replace(trained, reference=reference(model, splits, settings), thresholds=found)
    publish(trained, splits, settings)
    log.info("registered the mean of the logits of %d networks", len(networks))


def thresholds(
    table: pd.DataFrame, splits: Splits[DecodedImages], settings: ImageTraining
) -> Thresholds:
    """When the ensemble abstains, from the pooled predictions: each of a network's test images."""
    classes = list(splits.data.classes)
    labels = table["label"].map({name: k for k, name in enumerate(classes)}).to_numpy(np.int64)
    unlike = table["unlikeness"].to_numpy() if "unlikeness" in table else None
    names = tuple(titles(settings.dataset).values())
    return choose(labels, table[classes].to_numpy(), unlike, names, settings.abstention)[0]
