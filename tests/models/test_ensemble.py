"""Several networks as one graph: the mean of their logits, with the head of one network."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conf.errors import UserError
from deploy.serving.images.engine import Engine
from models.common import PROBABILITIES, export_onnx, onnx_predict
from models.ensemble import ensemble
from models.vgg16ft.model import build
from tests.common import part

CLASSES = 3
SIZE = 32
BOUNDARY = "block4_pool"


@pytest.fixture(scope="module")
def networks() -> list[Any]:
    """Three networks that differ behind the freeze boundary."""
    import keras

    config = part("model", "vgg16ft", "model.weights=none", f"model.image_size={SIZE}")
    first = build(config, CLASSES)
    made = [first]
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        other = build(config, CLASSES)
        behind = False
        for ours, theirs in zip(first.layers, other.layers, strict=True):
            if not behind:
                theirs.set_weights(ours.get_weights())
            behind = behind or ours.name == BOUNDARY
        made.append(other)
    return made


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 3), np.uint8)


def logits(network: Any, pixels: np.ndarray) -> np.ndarray:
    values = np.log(network.predict(pixels, verbose=0))
    return values - values.mean(axis=1, keepdims=True)


def test_its_logits_are_the_mean_of_those_of_the_networks(
    networks: list[Any], pixels: np.ndarray
) -> None:
    joined = ensemble(networks, BOUNDARY)
    expected = np.mean([logits(network, pixels) for network in networks], axis=0)
    np.testing.assert_allclose(logits(joined, pixels), expected, atol=1e-5)


def test_the_frozen_layers_are_there_once(networks: list[Any]) -> None:
    shared = sum(
        int(np.prod(weight.shape))
        for layer in networks[0].layers[: networks[0].layers.index(networks[0].get_layer(BOUNDARY))]
        for weight in layer.weights
    )
    alone = networks[0].count_params()
    joined = ensemble(networks, BOUNDARY).count_params()
    assert joined < shared + 1.1 * len(networks) * (alone - shared)


def test_the_service_reads_its_head_as_that_of_one_network(
    networks: list[Any], pixels: np.ndarray, tmp_path: Path
) -> None:
    joined, path = ensemble(networks, BOUNDARY), tmp_path / "model.onnx"
    export_onnx(joined, path)
    outputs = onnx_predict(path, pixels)
    expected = joined.predict(pixels, verbose=0)
    np.testing.assert_allclose(outputs[PROBABILITIES], expected, atol=1e-5)
    head = Engine(path, threads=1).head
    np.testing.assert_allclose(head.probabilities(outputs["feature_map"]), expected, atol=1e-5)
    cams = head.grad_cam(outputs["feature_map"], expected.argmax(axis=1))
    assert cams.shape[0] == len(pixels) and (cams >= 0).all()


def test_networks_with_other_frozen_layers_are_refused(networks: list[Any]) -> None:
    config = part("model", "vgg16ft", "model.weights=none", f"model.image_size={SIZE}")
    with pytest.raises(UserError, match=r"differ up to model.freeze=block4_pool"):
        ensemble([networks[0], build(config, CLASSES)], BOUNDARY)
