"""The learning curve of a registered image classifier, for its study."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from conf.schema import ImageModelStudy, Transform
from datasets.common.contract import Images
from models import unlikeness
from train.common.data.pixels import decode
from train.common.data.types import DecodedImages
from train.common.evaluation.learning import Features, curve
from train.common.fitting.devices import found
from train.common.fitting.engines import Compute, engine
from train.common.fitting.inputs import BATCH
from train.common.tracking.load import Registered, fetch_config, fetch_table

if TYPE_CHECKING:
    import keras


def learned(
    images: Images, model: Registered, network: "keras.Model", settings: ImageModelStudy
) -> tuple[pd.DataFrame, str] | None:
    """The table of the curve and its verdict; None with `study.curve=0`.

    `images` are all images of the run of `model`. Test images are not looked at.
    """
    if not settings.study.curve:
        return None
    size, workers = model.metadata["image_size"], settings.study.workers
    stored = Transform(image_size=size, workers=workers)
    decoded = decode(images, settings.dataset, stored, Path(settings.env.cache))
    splits = fetch_table(model, "data/splits.csv").set_index("file")["split"]
    part = images.frame["file"].map(splits).to_numpy()
    rows = np.random.default_rng(settings.seed).permutation(np.flatnonzero(part == "train"))
    training = np.sort(rows[: settings.study.curve])
    compute = _frozen(network, model)
    fitted, judged = (
        _features(decoded, each, compute)
        for each in (training, np.flatnonzero(part == "validation"))
    )
    return curve(fitted, judged, settings.metrics, settings.seed)


def _frozen(network: "keras.Model", model: Registered) -> Compute:
    """The features of the layers that the run of `model` did not train, as a function of pixels."""
    import keras

    of_run = fetch_config(model).model
    layers = unlikeness.frozen_layers(network, list(of_run.unlike), of_run.freeze)
    pooled = keras.Model(network.input, unlikeness.pooled(network, layers))
    return engine(pooled, "float32", found().first())


def _features(images: DecodedImages, rows: np.ndarray, compute: Compute) -> Features:
    parts = (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))
    frame = images.frame.iloc[rows]
    return Features(
        np.concatenate([compute(images.read(part)).copy() for part in parts]),
        frame["label"].to_numpy(),
        frame["cluster"].to_numpy(),
    )
