"""From a fitted Keras model to the two models that leave training."""

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from conf.schema import Precision
from datasets.common.images import READER
from models.common import PROBABILITIES, export_onnx, onnx_predict
from models.quantization import quantize
from train.common.data.types import Fitted, Splits
from train.common.evaluation.images import BATCH
from train.common.tracking.register import log_models

log = logging.getLogger(__name__)

TOLERANCE = 1e-4
"""Largest accepted difference between Keras' and ONNX' probabilities, float32 on another engine."""


def publish(fitted: Fitted, splits: Splits, config: DictConfig) -> None:
    """Export to ONNX, compare with Keras on validation images, log and register both.

    A fold's model judges the recipe and stays unregistered. The checkpoints go once all is logged.
    Raises `ArithmeticError` when the two differ by more than `TOLERANCE`: a model that changes in
    export must not be served.
    """
    if config.split.folds:
        log.info("the model of a fold is not registered: train without split.folds to serve one")
        fitted.checkpoints.remove()
        return
    pixels = np.asarray(splits.samples.load()[splits.validation[: config.fit.batch_size]])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        export_onnx(fitted.model, path)
        theirs = onnx_predict(path, pixels)[PROBABILITIES]
        ours = fitted.model.predict(pixels, batch_size=BATCH, verbose=0)
        difference = float(np.abs(theirs - ours).max())
        if difference > TOLERANCE:
            raise ArithmeticError(
                f"ONNX and Keras differ by {difference:.2g} on validation images, more than "
                f"{TOLERANCE:.0e}; the model was not registered"
            )
        metadata = {
            "classes": list(splits.samples.classes),
            "image_size": int(pixels.shape[1]),
            "reader": READER,
            "dicom_window": dicom_window(config),
            "data_digest": splits.samples.digest,
            "onnx_difference": difference,
            "precision": "fp32",
        }
        if config.publish.precision == Precision.int8:
            path, facts = _int8(path, splits, config)
            metadata |= facts
        log_models(fitted.model, path, config, metadata)
    fitted.checkpoints.remove()


def dicom_window(config: DictConfig) -> list[float]:
    """DICOM window centre and width of the training; empty where each file's own was taken."""
    window = config.dataset.dicom
    return [] if window.width is None else [window.centre, window.width]


def calibration_rows(splits: Splits, count: int, seed: int) -> np.ndarray:
    """At most `count` rows of the training images, drawn by `seed`, in their order."""
    rng = np.random.default_rng(seed)
    return np.sort(rng.permutation(splits.train)[:count])


def _int8(path: Path, splits: Splits, config: DictConfig) -> tuple[Path, dict[str, Any]]:
    """The model to serve, int8 where validation allows it, and what its metadata say of that."""
    settings, images = config.publish, splits.samples.load()
    quantized = path.with_name("int8.onnx")
    quantize(
        path,
        quantized,
        images[calibration_rows(splits, settings.calibration_images, config.seed)],
    )
    labels = splits.labels(splits.validation)
    exact, rounded = (
        onnx_predict(each, images[splits.validation])[PROBABILITIES].argmax(axis=1)
        for each in (path, quantized)
    )
    loss = float(np.mean(exact == labels) - np.mean(rounded == labels))
    if loss > settings.max_accuracy_loss:
        log.warning(
            "int8 loses %.4f of accuracy on validation, more than publish.max_accuracy_loss=%s: "
            "float32 is registered",
            loss,
            settings.max_accuracy_loss,
        )
        return path, {"int8_accuracy_loss": loss}
    log.info("int8 loses %.4f of accuracy on %d validation images", loss, len(labels))
    return quantized, {"precision": "int8", "int8_accuracy_loss": loss}
