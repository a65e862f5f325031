"""What holds for every model folder, and for resnet50v2ft in particular."""

import logging
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig

from conf.errors import UserError
from models.common import (
    FEATURE_MAP,
    PROBABILITIES,
    export_onnx,
    freeze,
    freeze_backbone,
    onnx_predict,
    serving_model,
)
from tests.common import models, part

SIDE = 64
CLASSES = 4
SERVING_TOLERANCE = 1e-4  # float32 on another engine


def settings(name: str, weights: str = "none") -> DictConfig:
    return part("model", name, f"model.weights={weights}", f"model.image_size={SIDE}")


def build(name: str, weights: str = "none"):
    import importlib

    import keras

    keras.utils.set_random_seed(0)
    return importlib.import_module(f"models.{name}.model").build(settings(name, weights), CLASSES)


@pytest.fixture(scope="module", params=models())
def model(request: pytest.FixtureRequest):
    return build(request.param)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)


def test_takes_raw_pixels_and_answers_probabilities(model, pixels: np.ndarray) -> None:
    assert model.input.dtype == "uint8"
    probabilities = model.predict(pixels, verbose=0)
    assert probabilities.shape == (3, CLASSES)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert not np.allclose(probabilities[0], probabilities[1])


def test_the_graph_is_flat(model) -> None:
    import keras

    assert not [layer.name for layer in model.layers if isinstance(layer, keras.Model)]


def test_warm_up_trains_the_head_alone(model) -> None:
    freeze_backbone(model)
    assert {w.path.split("/")[0] for w in model.trainable_weights} == {"hidden", PROBABILITIES}


def test_batch_norm_never_trains(model) -> None:
    import keras

    freeze(model, settings(model.name).freeze)
    layers = [v for v in model.layers if isinstance(v, keras.layers.BatchNormalization)]
    assert layers
    assert not any(layer.trainable for layer in layers)


def test_onnx_answers_as_keras(model, pixels: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    export_onnx(model, path)
    theirs = onnx_predict(path, pixels)
    ours = serving_model(model).predict(pixels, verbose=0)
    assert set(theirs) == {PROBABILITIES, FEATURE_MAP}
    for name in theirs:
        np.testing.assert_allclose(theirs[name], ours[name], atol=SERVING_TOLERANCE)


@pytest.mark.parametrize("name", models())
def test_weights_load_from_a_path_and_are_logged(
    name: str, model, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import keras

    if model.name != name:
        pytest.skip("the fixture holds another model")
    backbone = keras.Model(model.input, model.get_layer("pool").input)
    path = tmp_path / "backbone.weights.h5"
    backbone.save_weights(path)
    kernel = next(v for v in backbone.layers if v.weights).weights[0].numpy()
    with caplog.at_level(logging.INFO):
        keras.utils.set_random_seed(1)
        loaded = build(name, str(path))
    first = next(v for v in loaded.layers if v.weights).weights[0].numpy()
    np.testing.assert_array_equal(first, kernel)
    assert str(path) in caplog.text
    assert "sha256" in caplog.text


@pytest.mark.parametrize("name", models())
def test_bad_weights_name_the_way_out(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"is not a file; choices: imagenet, none"):
        build(name, str(tmp_path / "missing.weights.h5"))
    broken = tmp_path / "broken.weights.h5"
    broken.write_bytes(b"not HDF5")
    with pytest.raises(UserError, match="does not fit"):
        build(name, str(broken))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens on discard
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"imagenet could not be downloaded.*model\.weights=none"):
        build(name, "imagenet")


def test_resnet50v2ft_trains_its_last_13_convolutions() -> None:
    import keras

    model = build("resnet50v2ft")
    freeze(model, settings("resnet50v2ft").freeze)
    convolutions = [v for v in model.layers if isinstance(v, keras.layers.Conv2D)]
    trained = [layer.name for layer in convolutions if layer.trainable]
    assert len(trained) == 13
    assert trained == [layer.name for layer in convolutions[-13:]]


def test_an_unknown_freeze_boundary_is_refused(model) -> None:
    with pytest.raises(UserError, match=r"model\.freeze=conv9 is no layer"):
        freeze(model, "conv9")
