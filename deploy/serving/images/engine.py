"""Inference on a CPU with OpenVINO, which reads the exported ONNX file directly.

Why OpenVINO and not ONNX Runtime: on two idle cores both need 41 ms per image (ResNet50V2, 224 px,
batch 1). On two busy cores OpenVINO needs 85 ms and ONNX Runtime 110 to 138 ms, because its threads
spin while they wait. NNCF also makes its INT8 models for OpenVINO.
"""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .gradcam import Head

if TYPE_CHECKING:
    import openvino

INPUT, PROBABILITIES, FEATURE_MAP = "image", "probabilities", "feature_map"
UNLIKENESS = "unlikeness"
"""Names in the graph that training exports."""
HEAD_TOLERANCE = 1e-3
"""Largest accepted difference between the graph's probabilities and those of `Head`."""


class Outputs(NamedTuple):
    """What a model answers to B images."""

    probabilities: np.ndarray
    """(B, classes)."""
    features: np.ndarray
    """The feature map before pooling, (B, h, w, C)."""
    unlikeness: np.ndarray | None
    """(B,); None for a model that does not judge it."""


class Engine:
    """A compiled model. One call uses all cores, so calls of several threads run one by one."""

    def __init__(self, path: Path, threads: int) -> None:
        import openvino

        graph = openvino.Core().read_model(path)
        self.head = read_head(graph)
        self.image_size = int(graph.input(INPUT).get_partial_shape()[1].get_length())
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            # Newer CPUs would compute in bfloat16 by default, which is not what was trained.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        known = {name for output in graph.outputs for name in output.names}
        self._names = [n for n in (PROBABILITIES, FEATURE_MAP, UNLIKENESS) if n in known]
        compiled = openvino.Core().compile_model(graph, "CPU", settings)
        self._request = compiled.create_infer_request()
        self._lock = threading.Lock()

    @property
    def judges_unlikeness(self) -> bool:
        """Whether the model says how unlike the training images an image is."""
        return UNLIKENESS in self._names

    def run(self, pixels: np.ndarray) -> Outputs:
        """The outputs for images uint8 (B, S, S, 3)."""
        with self._lock:
            self._request.infer({INPUT: pixels})
            found = {name: self._request.get_tensor(name).data.copy() for name in self._names}
        return Outputs(found[PROBABILITIES], found[FEATURE_MAP], found.get(UNLIKENESS))

    def warm_up(self) -> None:
        """Run once. Raises `ArithmeticError` if the head that was read is not that of the graph."""
        shape = (1, self.image_size, self.image_size, 3)
        pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        probabilities, features, _ = self.run(pixels)
        difference = float(np.abs(self.head.probabilities(features) - probabilities).max())
        if not difference <= HEAD_TOLERANCE:
            raise ArithmeticError(
                f"the dense layers read from the graph give probabilities that differ by "
                f"{difference:.2g} from the graph's: Grad-CAM would explain another model"
            )


def read_head(graph: "openvino.Model") -> Head:
    """The weights of the two dense layers between the feature map and the probabilities.

    Walks from the output backwards: softmax, add, matmul, ReLU, add, matmul, pooling. Raises
    `ValueError`, which names the first operation that is another one.
    """
    softmax = graph.output(PROBABILITIES).get_node().input_value(0).get_node()
    _expect(softmax, "Softmax")
    relu, kernel, bias = _dense(softmax.input_value(0).get_node())
    _expect(relu, "Relu")
    pooling, hidden_kernel, hidden_bias = _dense(relu.input_value(0).get_node())
    while pooling.get_type_name() in ("Squeeze", "Reshape"):
        pooling = pooling.input_value(0).get_node()
    _expect(pooling, "ReduceMean")
    return Head(hidden_kernel, hidden_bias, kernel, bias)


def _dense(node: Any) -> tuple[Any, np.ndarray, np.ndarray]:
    """The input of the dense layer that ends with `node`, its kernel (in, out) and bias (out,).

    The export leaves a bias of zeros out of the graph.
    """
    product, bias = node, None
    if node.get_type_name() == "Add":
        sides = [node.input_value(i).get_node() for i in (0, 1)]
        product, bias = sorted(sides, key=lambda side: side.get_type_name() != "MatMul")
    _expect(product, "MatMul")
    kernel = _constant(product.input_value(1).get_node())
    if product.get_attributes()["transpose_b"]:
        kernel = kernel.T
    zeros = np.zeros(kernel.shape[1], np.float32)
    shift = zeros if bias is None else _constant(bias).reshape(-1) + zeros
    return product.input_value(0).get_node(), kernel, shift


def _constant(node: Any) -> np.ndarray:
    while node.get_type_name() == "Convert":  # weights may be stored in half precision
        node = node.input_value(0).get_node()
    _expect(node, "Constant")
    return np.array(node.data, dtype=np.float32)


def _expect(node: Any, kind: str) -> None:
    if node.get_type_name() != kind:
        raise ValueError(
            f"{node.get_friendly_name()} of the graph is {node.get_type_name()}, expected {kind}: "
            "Grad-CAM in closed form needs a head of pooling, dense, ReLU, dense and softmax"
        )
