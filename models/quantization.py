r"""Eight-bit integers for a CPU: post-training quantization of an exported model by NNCF.

Weights and activations of the convolutions become `int8`,

$$ x \approx s \, q, \qquad q \in \{-128, \ldots, 127\}, $$

with scales \(s\) per output channel for weights, and for activations from the ranges that
calibration images give [1]. The result is ONNX again, with `QuantizeLinear` and `DequantizeLinear`
around what is computed in integers, so every engine that reads ONNX runs it. The head,
from pooling on, stays in float32: it costs nothing, and Grad-CAM reads its weights.

1. Jacob et al.: *Quantization and Training of Neural Networks for Efficient
   Integer-Arithmetic-Only Inference*, CVPR 2018.
"""

import logging
from pathlib import Path

import numpy as np

HEAD = ("GlobalAveragePool", "ReduceMean", "MatMul")
"""Operations behind the feature map, in whichever form they were exported: kept in float32."""


def quantize(path: Path, quantized: Path, pixels: np.ndarray) -> None:
    """Write the int8 form of the ONNX model at `path` to `quantized`.

    `pixels` uint8 (N, S, S, 3) are the calibration images: training images, and no others, since
    the ranges that are read off them are part of the fit.
    """
    import nncf
    import onnx

    logging.getLogger("nncf").setLevel(logging.WARNING)
    model = onnx.load(path)
    name = model.graph.input[0].name
    onnx.save(
        nncf.quantize(
            model,
            nncf.Dataset(pixels, lambda image: {name: image[None]}),
            subset_size=len(pixels),
            ignored_scope=nncf.IgnoredScope(types=list(HEAD), validate=False),
        ),
        quantized,
    )
