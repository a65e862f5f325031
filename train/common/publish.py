"""From a fitted Keras model to the two models that leave training."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from models.common import PROBABILITIES, export_onnx, onnx_predict
from train.common.run import log_models
from train.common.values import Fitted, Splits

EXAMPLES = 2
"""Images in the input example."""
TOLERANCE = 1e-4
"""Largest accepted difference between Keras' and ONNX' probabilities, float32 on another engine."""


def publish(fitted: Fitted, splits: Splits, config: DictConfig) -> None:
    """Export to ONNX, compare with Keras on validation images, log and register both.

    The checkpoints go once all is logged. Raises `ArithmeticError` when the two differ by more
    than `TOLERANCE`: a model that changes in export must not be served.
    """
    pixels = np.asarray(splits.samples.load()[splits.validation[: config.fit.batch_size]])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        export_onnx(fitted.model, path)
        theirs = onnx_predict(path, pixels)[PROBABILITIES]
        ours = fitted.model.predict(pixels, verbose=0)
        difference = float(np.abs(theirs - ours).max())
        if difference > TOLERANCE:
            raise ArithmeticError(
                f"ONNX and Keras differ by {difference:.2g} on validation images, more than "
                f"{TOLERANCE:.0e}; the model was not registered"
            )
        metadata = {
            "classes": list(splits.samples.classes),
            "image_size": int(pixels.shape[1]),
            "data_digest": splits.samples.digest,
            "onnx_difference": difference,
        }
        log_models(fitted.model, path, pixels[:EXAMPLES], config, metadata)
    shutil.rmtree(fitted.checkpoints)
