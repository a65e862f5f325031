"""What holds for every model of images."""

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conf.errors import UserError
from conf.schema import ImageModel
from models.common import (
    FEATURE_MAP,
    PROBABILITIES,
    UNLIKENESS,
    export_onnx,
    freeze,
    onnx_predict,
    serving_model,
    split_at,
)
from models.unlikeness import fit, frozen_layers, pooled
from tests.common import models, part

SIDE = 64
CLASSES = 4
SERVING_TOLERANCE = 1e-4  # float32 on another engine


def settings(name: str, weights: str = "none") -> Any:
    return part("model", name, f"model.weights={weights}", f"model.image_size={SIDE}")


def build(name: str, weights: str = "none"):
    import importlib

    import keras

    keras.utils.set_random_seed(0)
    return importlib.import_module(f"models.{name}.model").build(settings(name, weights), CLASSES)


@pytest.fixture(scope="module", params=models(kind=ImageModel))
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
    # Random weights may answer nearly alike; what they see differs all the same.
    features = serving_model(model).predict(pixels, verbose=0)[FEATURE_MAP]
    assert not np.allclose(features[0], features[1], atol=0)


def test_parted_at_the_boundary_it_answers_as_the_whole(model, pixels: np.ndarray) -> None:
    freeze(model, settings(model.name).freeze)
    prefix, tail = split_at(model, settings(model.name).freeze)
    assert not prefix.trainable_weights
    assert len(tail.trainable_weights) == len(model.trainable_weights)
    parted = tail.predict(prefix.predict(pixels, verbose=0), verbose=0)
    np.testing.assert_allclose(parted, model.predict(pixels, verbose=0), atol=1e-6)


def test_the_graph_is_flat(model) -> None:
    import keras

    assert not [layer.name for layer in model.layers if isinstance(layer, keras.Model)]


def test_warm_up_trains_the_head_alone(model) -> None:
    freeze(model, "pool")
    assert {w.path.split("/")[0] for w in model.trainable_weights} == {"hidden", PROBABILITIES}


def test_what_is_behind_the_boundary_trains_but_for_batch_norm(model) -> None:
    import keras

    boundary = settings(model.name).freeze
    model.trainable = True
    freeze(model, boundary)
    last = [layer.name for layer in model.layers].index(boundary)
    frozen = [layer for layer in model.layers[: last + 1] if layer.weights]
    behind = [layer for layer in model.layers[last + 1 :] if layer.weights]
    norms = [v for v in behind if isinstance(v, keras.layers.BatchNormalization)]
    assert frozen and not any(layer.trainable_weights for layer in frozen)
    assert not any(layer.trainable_weights for layer in norms)
    trained = [layer for layer in behind if layer not in norms]
    assert len(trained) > 2  # more than the head
    assert all(len(layer.trainable_weights) == len(layer.weights) for layer in trained)


@pytest.mark.slow
def test_onnx_answers_as_keras(model, pixels: np.ndarray, tmp_path: Path) -> None:
    import keras

    path, chosen = tmp_path / "model.onnx", settings(model.name)
    layers = frozen_layers(model, chosen.unlike, chosen.freeze)
    features = keras.Model(model.input, pooled(model, layers)).predict(pixels, verbose=0)
    reference = fit(layers, features)
    export_onnx(model, path, reference)
    theirs = onnx_predict(path, pixels)
    ours = serving_model(model, reference).predict(pixels, verbose=0)
    assert set(theirs) == {PROBABILITIES, FEATURE_MAP, UNLIKENESS}
    for name in theirs:
        # Of features, sums of thousands of products, what counts is the error beside the largest.
        scale = max(1.0, float(np.abs(ours[name]).max()))
        np.testing.assert_allclose(
            theirs[name], ours[name], rtol=SERVING_TOLERANCE, atol=SERVING_TOLERANCE * scale
        )


@pytest.mark.parametrize("name", models(kind=ImageModel))
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


@pytest.mark.parametrize("name", models(kind=ImageModel))
def test_bad_weights_name_the_way_out(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a file; choices: imagenet, none"):
        build(name, str(tmp_path / "missing.weights.h5"))
    broken = tmp_path / "broken.weights.h5"
    broken.write_bytes(b"not HDF5")
    with pytest.raises(UserError, match="does not fit"):
        build(name, str(broken))


@pytest.mark.parametrize("name", models(kind=ImageModel))
def test_without_a_network_imagenet_weights_are_there_or_the_way_out_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens on discard
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    try:
        installed = serving_model(build(name, "imagenet")).weights
    except UserError as error:
        assert re.search(r"imagenet could not be downloaded.*model\.weights=none", str(error))
    else:  # no random ones were taken instead
        drawn = serving_model(build(name)).weights
        kernels = [(a, b) for a, b in zip(installed, drawn, strict=True) if "conv" in a.path]
        assert kernels and not any(np.allclose(a, b) for a, b in kernels)


def test_the_layers_of_unlikeness_are_frozen(model) -> None:
    chosen = settings(model.name)
    assert frozen_layers(model, chosen.unlike, chosen.freeze) == (*chosen.unlike, chosen.freeze)


def test_an_unknown_freeze_boundary_is_refused(model) -> None:
    with pytest.raises(UserError, match=r"model\.freeze=conv9 is no layer"):
        freeze(model, "conv9")
