"""Export a fitted Keras model as ONNX, and register it."""

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from conf.schema import ImageTraining, Precision
from datasets.common.images import READER, profile
from models.common import PROBABILITIES, UNLIKENESS, export_onnx, onnx_predict
from models.quantization import quantize
from train.common.data.types import DecodedImages, Splits, TrainedModel
from train.common.fitting.calibrate import choose
from train.common.fitting.inputs import predict
from train.common.tracking.register import log_keras, log_models

log = logging.getLogger(__name__)

TOLERANCE = 1e-4
"""Largest accepted difference of probabilities between Keras and ONNX, both in float32."""

UNLIKE_TOLERANCE = 1e-2
"""The same of unlikeness, relative to its largest value: it sums up errors of all features."""


def export(trained: TrainedModel, splits: Splits[DecodedImages], settings: ImageTraining) -> None:
    """Register the model of a training as `publish` does, and remove its checkpoints.

    The models of folds evaluate the recipe, and are not registered. With `publish.ensemble` their
    networks are logged for `export.ensemble`.
    """
    if not settings.split.folds:
        publish(trained, splits, settings)
    elif settings.publish.ensemble:
        log_keras(trained.model, metadata_of(trained, splits, settings))
    else:
        log.info("the model of a fold is not registered: train without split.folds to serve one")
    trained.clean_up()


def publish(trained: TrainedModel, splits: Splits[DecodedImages], settings: ImageTraining) -> str:
    """Export to ONNX, compare with Keras on validation images, log and register both.

    Returns the registered version. Raises `ArithmeticError` when Keras and ONNX differ by more than
    `TOLERANCE`: a model that changes in export must not be served.
    """
    rows = splits.validation[: settings.fit.batch_size]
    pixels = np.asarray(splits.data.load()[rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        export_onnx(trained.model, path, trained.reference)
        theirs, ours = onnx_predict(path, pixels), predict(trained, splits, rows)
        difference = float(np.abs(theirs[PROBABILITIES] - ours.probabilities).max())
        gap = 0.0
        if ours.unlikeness is not None:
            gap = float(np.abs(theirs[UNLIKENESS] - ours.unlikeness).max())
            gap /= max(1.0, float(ours.unlikeness.max()))
        if difference > TOLERANCE or gap > UNLIKE_TOLERANCE:
            raise ArithmeticError(
                f"ONNX and Keras differ by {difference:.2g} on validation images, more than "
                f"{TOLERANCE:.0e}, or by {gap:.2g} in unlikeness; the model was not registered"
            )
        metadata = metadata_of(trained, splits, settings) | {"onnx_difference": difference}
        if settings.publish.precision == Precision.int8:
            path, facts = _int8(path, splits, settings)
            metadata |= facts
        return log_models(trained.model, path, settings, metadata)


def metadata_of(
    trained: TrainedModel, splits: Splits[DecodedImages], settings: ImageTraining
) -> dict[str, Any]:
    """What is stored with a model, and the service needs: classes, pixels, thresholds, profile."""
    metadata = {
        "classes": list(splits.data.classes),
        "image_size": int(splits.data.load().shape[1]),
        "reader": READER,
        "dicom_window": dicom_window(settings),
        "data_digest": splits.data.digest,
        "precision": "fp32",
        "temperature": trained.temperature,
        "operating_points": list(trained.operating),
    }
    if trained.thresholds:
        metadata["abstention"] = trained.thresholds.metadata()
    if trained.profile:
        metadata["drift"] = trained.profile.metadata()
    return metadata


def dicom_window(settings: ImageTraining) -> list[float]:
    """DICOM window centre and width of the training; empty if each file's own window was used."""
    window = settings.dataset.dicom
    if window.centre is None or window.width is None:
        return []
    return [window.centre, window.width]


def calibration_rows(splits: Splits[DecodedImages], count: int, seed: int) -> np.ndarray:
    """At most `count` rows of training images, drawn with `seed` and sorted."""
    rng = np.random.default_rng(seed)
    return np.sort(rng.permutation(splits.train)[:count])


def _int8(
    path: Path, splits: Splits[DecodedImages], settings: ImageTraining
) -> tuple[Path, dict[str, Any]]:
    """The model to serve, in int8 if validation allows it, and its metadata."""
    publish, images = settings.publish, splits.data.load()
    quantized = path.with_name("int8.onnx")
    quantize(
        path,
        quantized,
        images[calibration_rows(splits, publish.calibration_images, settings.seed)],
    )
    labels = splits.labels(splits.validation)
    exact, rounded = (onnx_predict(each, images[splits.validation]) for each in (path, quantized))
    right, still = (each[PROBABILITIES].argmax(axis=1) == labels for each in (exact, rounded))
    loss = float(np.mean(right) - np.mean(still))
    if loss > publish.max_accuracy_loss:
        log.warning(
            "int8 loses %.4f of accuracy on validation, more than publish.max_accuracy_loss=%s: "
            "float32 is registered",
            loss,
            publish.max_accuracy_loss,
        )
        return path, {"int8_accuracy_loss": loss}
    log.info("int8 loses %.4f of accuracy on %d validation images", loss, len(labels))
    facts: dict[str, Any] = {"precision": "int8", "int8_accuracy_loss": loss}
    # Rounding moves what thresholds and profile were made from.
    classes, found = splits.data.classes, None
    given = rounded[PROBABILITIES], rounded.get(UNLIKENESS)
    if settings.abstention.enabled:
        found, _ = choose(labels, *given, classes, settings.abstention)
        facts["abstention"] = found.metadata()
    if known := profile(found, classes, *given):
        facts["drift"] = known.metadata()
    return quantized, facts
