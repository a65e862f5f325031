"""Grad-CAM in closed form is the Grad-CAM of automatic differentiation."""

import io

import numpy as np
import pytest
from PIL import Image

from deploy.serving.images.engine import Engine, read_head
from deploy.serving.images.gradcam import overlay
from models.common import FEATURE_MAP, PROBABILITIES, serving_model
from tests.deploy.common import SIDE, Trained, frame

TOLERANCE = 1e-3  # float32 on two engines, relative to the largest value


@pytest.fixture(scope="module")
def engine(trained: Trained) -> Engine:
    engine = Engine(trained.onnx, threads=1)
    engine.warm_up()
    return engine


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    frames = [frame(label, 7).resize((SIDE, SIDE)) for label in range(4)]
    return np.stack([np.asarray(image) for image in frames])


def autograd_cams(model, pixels: np.ndarray, target: int) -> np.ndarray:
    """(B, h, w): gradients of the score before the softmax, as the paper defines it."""
    import keras
    import tensorflow as tf

    features = tf.constant(serving_model(model).predict(pixels, verbose=0)[FEATURE_MAP])
    last = model.get_layer(PROBABILITIES)
    with tf.GradientTape() as tape:
        tape.watch(features)
        hidden = model.get_layer("hidden")(model.get_layer("pool")(features))
        score = (keras.ops.matmul(hidden, last.kernel) + last.bias)[:, target]
    gradients = tape.gradient(score, features)
    alpha = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(alpha * features, axis=-1)).numpy()


@pytest.mark.parametrize("target", range(4))
def test_the_closed_form_agrees_with_autograd_in_keras(
    engine: Engine, trained: Trained, pixels: np.ndarray, target: int
) -> None:
    expected = autograd_cams(trained.keras, pixels, target)
    features = engine.run(pixels).features
    found = engine.head.grad_cam(features, np.full(len(pixels), target))
    assert found.shape == expected.shape == (4, SIDE // 32, SIDE // 32)
    np.testing.assert_allclose(found, expected, atol=TOLERANCE * max(expected.max(), 1e-6))


@pytest.mark.slow
def test_some_image_has_a_heatmap_that_is_not_flat(
    engine: Engine, trained: Trained, pixels: np.ndarray
) -> None:
    cams = np.stack([autograd_cams(trained.keras, pixels, target) for target in range(4)])
    assert (np.ptp(cams, axis=(2, 3)) > 0).any()  # else the agreement would prove nothing


def test_the_head_is_that_of_keras(engine: Engine, trained: Trained) -> None:
    hidden, last = trained.keras.get_layer("hidden"), trained.keras.get_layer(PROBABILITIES)
    np.testing.assert_array_equal(engine.head.hidden_kernel, hidden.kernel.numpy())
    np.testing.assert_array_equal(engine.head.hidden_bias, hidden.bias.numpy())
    np.testing.assert_array_equal(engine.head.kernel, last.kernel.numpy())
    np.testing.assert_array_equal(engine.head.bias, last.bias.numpy())


def test_a_graph_with_another_head_is_refused_by_name(tmp_path) -> None:
    import onnx
    from onnx import TensorProto, helper

    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 4])
    result = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 4])
    node = helper.make_node("Sigmoid", ["image"], ["probabilities"], name="squash")
    model = helper.make_model(
        helper.make_graph([node], "other", [image], [result]),
        opset_imports=[helper.make_opsetid("", 15)],
        ir_version=8,
    )
    onnx.save(model, tmp_path / "other.onnx")
    import openvino

    with pytest.raises(ValueError, match="is Sigmoid, expected Softmax"):
        read_head(openvino.Core().read_model(tmp_path / "other.onnx"))


def test_the_overlay_is_clear_where_nothing_spoke_for_the_class() -> None:
    cam = np.zeros((3, 3), np.float32)
    assert alpha_of(overlay(cam, 60, 30)).max() == 0
    cam[0, 0] = 5
    seen = alpha_of(overlay(cam, 60, 30))
    assert seen.shape == (30, 60)
    assert seen[0, 0] == 255
    assert seen[-1, -1] == 0


def alpha_of(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image)[:, :, 3]
