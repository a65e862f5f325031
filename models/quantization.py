r"""Quantize an exported model to int8 after training, with NNCF, for faster serving on a CPU.

Weights and activations of the convolutions become `int8`,

$$ x \approx s \, q, \qquad q \in \{-128, \ldots, 127\}, $$

with one scale \(s\) per output channel for weights; the scales of activations come from the ranges
of calibration images [1]. The result is ONNX with `QuantizeLinear` and `DequantizeLinear` around
the integer operations, so every engine for ONNX runs it. The head, from pooling on, stays in
float32: it is small, and Grad-CAM reads its weights.

1. Jacob et al.: *Quantization and Training of Neural Networks for Efficient
   Integer-Arithmetic-Only Inference*, CVPR 2018.
"""

import logging
from pathlib import Path

import numpy as np

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
    onnx.save(
        nncf.quantize(
            model,
            nncf.Dataset(pixels, lambda image: {name: image[None]}),
            subset_size=len(pixels),
            ignored_scope=nncf.IgnoredScope(types=list(HEAD), validate=False),
        ),
        quantized,
    )
