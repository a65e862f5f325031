"""The networks of all folds, registered as one model that can be served."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest

from conf.errors import UserError
from conf.schema import Precision
from datasets.common.images import Verdict
from models.common import PROBABILITIES, onnx_predict
from models.vgg16ft.model import build
from tests.common import configuration, new_store
from tests.datasets.common import image_set
from train.common.cross_validation import cross_validate
from train.common.data.build import build_images
from train.common.data.pixels import decode
from train.common.data.split import split_images
from train.common.data.types import Predictions, TrainedModel
from train.common.evaluation.abstention import recorded, with_abstention
from train.common.evaluation.images import evaluate
from train.common.export.images import export
from train.common.tracking.log import tracked_run

SIDE, COUNT = 32, 12


def settings(folder: Path) -> Any:
    classes = configuration("+pipeline=train_vgg16ft").dataset.classes
    image_set(folder / "data", count=COUNT, classes=classes)
    return configuration(
        "+pipeline=train_vgg16ft", "split.by=cluster", "split.folds=2", "split.validation=0.25",
        "publish.ensemble=true", "model.weights=none", f"model.image_size={SIDE}",
        "metrics.bootstrap=5", "dataset.source=directory", f"dataset.path={folder}/data",
        f"env.cache={folder}/cache", f"env.tracking_uri={new_store(folder)}",
    )  # fmt: skip


@pytest.mark.slow
def test_the_registered_model_has_the_mean_logits_of_all_folds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    config, networks = settings(tmp_path), []

    def judge(predictions: Predictions, given: Any) -> Any:
        return evaluate(predictions, given, ("accuracy",), {})

    def train_once(given: Any) -> TrainedModel:
        with tracked_run(given) as run:
            images: Any = build_images(given.dataset, tmp_path / "cache")
            run.log_data(images)
            pixels = decode(images, given.dataset, given.transform, tmp_path / "cache")
            splits = split_images(pixels, given.split)
            run.log_splits(splits)
            keras.utils.set_random_seed(0)
            model = build(given.model, len(images.classes))
            rng = np.random.default_rng(given.split.fold)
            for name in ("hidden", PROBABILITIES):
                layer = model.get_layer(name)
                layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
            rows = splits.test
            answers = model.predict(pixels.load()[rows], verbose=0)
            unlike = np.arange(len(rows), dtype=float)
            found = Predictions(images.frame.iloc[rows], answers, images.classes, unlike)
            none = [Verdict(False, None, None)] * len(rows)
            report = with_abstention(judge(found, given), found, none, given)
            run.log_report(report)
            export(TrainedModel(model, images.frame, 1, lambda: None), splits, given)
            networks.append(keras.models.clone_model(model))
            networks[-1].set_weights(model.get_weights())
        return TrainedModel(model, images.frame, 1, lambda: None)

    monkeypatch.chdir(tmp_path)
    before = mlflow.get_tracking_uri()
    try:
        pooled = cross_validate(train_once, judge, config)
        assert recorded(pooled.report.tables["predictions"]) is not None
        uri = "models:/vgg16ft-kidney2@challenger"
        metadata: Any = mlflow.models.get_model_info(uri).metadata
        path = Path(mlflow.artifacts.download_artifacts(uri), "model.onnx")
        pixels = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3), np.uint8)
        logits = [np.log(network.predict(pixels, verbose=0)) for network in networks]
        mean = np.exp(np.mean(logits, axis=0))
        served = onnx_predict(path, pixels)[PROBABILITIES]
        np.testing.assert_allclose(served, mean / mean.sum(axis=1, keepdims=True), atol=1e-4)
        assert metadata["abstention"]["unlikeness"] > 0

        with pytest.raises(UserError, match=r"publish.ensemble=true and publish.precision=int8"):
            publish = replace(config.publish, precision=Precision.int8)
            cross_validate(train_once, judge, replace(config, publish=publish))
    finally:
        mlflow.set_tracking_uri(before)
