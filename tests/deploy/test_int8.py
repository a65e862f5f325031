"""int8: smaller, the features of float32, and a head that Grad-CAM still reads."""

from pathlib import Path

import numpy as np
import pytest

from deploy.serving.images.engine import Engine
from models.quantization import quantize
from tests.deploy.common import SIDE, Trained, frame

pytestmark = pytest.mark.slow

SMALLER = 0.4
"""Of the file in float32: a quarter of the weights, and the head and the graph."""
CORRELATION = 0.98
"""Of the two feature maps, after rounding to 8 bits fifty layers deep."""


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    frames = [frame(number % 4, number).resize((SIDE, SIDE)) for number in range(16)]
    return np.stack([np.asarray(image) for image in frames])


@pytest.fixture(scope="module")
def quantized(
    trained: Trained, pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("int8") / "int8.onnx"
    quantize(trained.onnx, path, pixels)
    return path


def test_int8_sees_what_float32_sees_on_the_services_engine(
    quantized: Path, trained: Trained, pixels: np.ndarray
) -> None:
    exact, rounded = Engine(trained.onnx, threads=1), Engine(quantized, threads=1)
    rounded.warm_up()  # raises where the head is not the graph's
    ours, theirs = (engine.run(pixels)[1].reshape(len(pixels), -1) for engine in (rounded, exact))
    assert (ours != theirs).any(), "nothing was rounded"
    for one, other in zip(ours, theirs, strict=True):
        assert np.corrcoef(one, other)[0, 1] > CORRELATION
    assert np.corrcoef(ours[0], theirs[1])[0, 1] < CORRELATION  # else it would prove nothing
    np.testing.assert_array_equal(rounded.head.kernel, exact.head.kernel)


def test_int8_takes_a_quarter_of_the_space(quantized: Path, trained: Trained) -> None:
    assert quantized.stat().st_size < SMALLER * trained.onnx.stat().st_size
