r"""Quantize an exported model to int8 after training, with NNCF, for faster serving on a CPU.

Weights and activations of the convolutions become `int8`,

$$ x \approx s \, q, \qquad q \in \{-128, \ldots, 127\}, $$

with one scale \(s\) per output channel for weights; the scales of activations come from the ranges
of calibration images [1]. The result is ONNX with `QuantizeLinear` and `DequantizeLinear` around
the integer operations, so every engine for ONNX runs it. The head, from pooling on, stays in
float32: it is small, and Grad-CAM reads its weights. So does the distance of unlikeness.

1. Jacob et al.: *Quantization and Training of Neural Networks for Efficient
   Integer-Arithmetic-Only Inference*, CVPR 2018.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.common import UNLIKENESS

if TYPE_CHECKING:
    import onnx

HEAD = ("GlobalAveragePool", "ReduceMean", "MatMul")
"""Operations behind the feature map, in every form of export; they stay in float32."""


def quantize(path: Path, quantized: Path, pixels: np.ndarray) -> None:
    """Write the int8 form of the ONNX model at `path` to `quantized`.

    `pixels` uint8 (N, S, S, 3) are the calibration images. They must be training images, because
    the calibration is a part of the fit.
    """
    import nncf
    import onnx

    logging.getLogger("nncf").setLevel(logging.WARNING)
    model = onnx.load(path)
    name = model.graph.input[0].name
    exact = nncf.IgnoredScope(names=measuring(model), types=list(HEAD), validate=False)
    onnx.save(
        nncf.quantize(
            model,
            nncf.Dataset(pixels, lambda image: {name: image[None]}),
            subset_size=len(pixels),
            ignored_scope=exact,
        ),
        quantized,
    )


def measuring(model: "onnx.ModelProto") -> list[str]:
    """Names of the operations that compute unlikeness from pooled features.

    Rounded to the range of calibration images, the distance of other images would be cut off there.
    """
    makers = {output: node for node in model.graph.node for output in node.output}
    found, waiting = [], [UNLIKENESS]
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.name not in found:
            found.append(node.name)
            waiting += [] if node.op_type in HEAD[:2] else node.input
    return found
