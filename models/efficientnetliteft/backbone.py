"""EfficientNet-Lite without its classifier, in the form of `keras.applications`.

Source: `efficientnet_lite_builder.py` and `efficientnet_model.py` of the repository tensorflow/tpu.
"""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from conf.errors import UserError
from models.efficientnetliteft.weights import load_imagenet

if TYPE_CHECKING:
    import keras

EPSILON = 1e-3
"""Epsilon of BatchNorm with which the published weights were trained; equal to Keras' default."""


class Stage(NamedTuple):
    """Blocks of one width; the first block has the stride."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    filters: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
"""EfficientNet-B0 (Tan, Le 2019, table 1); Lite0 is the same without squeeze-and-excitation."""
STEM, TOP = 32, 1280
"""Filters of the first and the last convolution, equal in all variants."""


class Variant(NamedTuple):
    """Factors of filters and of blocks."""

    width: float
    depth: float


VARIANTS = {"lite0": Variant(1.0, 1.0), "lite2": Variant(1.1, 1.2)}
"""Variants, trained on images of 224 and 260 pixels."""


def efficientnet_lite(variant: str, weights: str | None, input_tensor: Any) -> "keras.Model":
    """Feature map (B, S/32, S/32, 1280) of images (B, S, S, 3) scaled by (x - 127) / 128.

    `weights` is `imagenet`, or None for random weights. Raises `UserError` for an unknown variant,
    and when the ImageNet weights are not available.
    """
    import keras

    if variant not in VARIANTS:
        choices = ", ".join(VARIANTS)
        raise UserError(f"model.variant={variant} is no EfficientNet-Lite; choices: {choices}")
    x = _convolution(input_tensor, "stem", STEM, kernel=3, stride=2)
    for number, stage in enumerate(scaled_stages(VARIANTS[variant]), start=1):
        for block in range(1, stage.blocks + 1):
            last = block == stage.blocks
            name = f"stage{number}" if last else f"stage{number}_block{block}"
            x = _block(x, name, stage, first=block == 1)
    x = _convolution(x, "top", TOP)
    name = f"efficientnet_{variant}"
    backbone = keras.Model(keras.utils.get_source_inputs(input_tensor), x, name=name)
    if weights == "imagenet":
        load_imagenet(backbone, variant)
    return backbone


def scaled_stages(variant: Variant) -> list[Stage]:
    """The stages of a variant; the first and the last stage keep their single block."""
    return [
        stage._replace(
            filters=_multiple_of_8(stage.filters * variant.width),
            blocks=stage.blocks
            if stage in (STAGES[0], STAGES[-1])
            else math.ceil(stage.blocks * variant.depth),
        )
        for stage in STAGES
    ]


def _multiple_of_8(filters: float) -> int:
    """The nearest multiple of 8 that is at least 0.9 of `filters`."""
    nearest = max(8, int(filters + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * filters else nearest + 8


def _block(x: Any, name: str, stage: Stage, first: bool) -> Any:
    """Inverted residual: widen, filter each channel separately, narrow, and add the input.

    `name` is the name of the last layer of the block.
    """
    import keras

    stride = stage.stride if first else 1
    y = x
    if stage.expansion > 1:
        y = _convolution(y, f"{name}_expand", x.shape[-1] * stage.expansion)
    y = _convolution(y, f"{name}_depthwise", None, stage.kernel, stride)
    if first:
        return _convolution(y, f"{name}_project", stage.filters, act=False, out=name)
    y = _convolution(y, f"{name}_project", stage.filters, act=False)
    return keras.layers.Add(name=name)([x, y])


def _convolution(
    x: Any,
    name: str,
    filters: int | None,
    kernel: int = 1,
    stride: int = 1,
    act: bool = True,
    out: str | None = None,
) -> Any:
    """Convolution (depthwise without `filters`), BatchNorm and, with `act`, ReLU6.

    Random kernels have the variance 2 / n, n being the inputs of one output (He et al. 2015), so
    activations keep their scale without BatchNorm, which never trains here. Keras counts the inputs
    of a depthwise kernel as its outputs.
    """
    from keras import initializers, layers

    def he(mode: str) -> Any:
        return initializers.VarianceScaling(2.0, mode, "truncated_normal")

    shared = {"strides": stride, "padding": "same", "use_bias": False, "name": f"{name}_conv"}
    if filters is None:
        layer = layers.DepthwiseConv2D(kernel, depthwise_initializer=he("fan_out"), **shared)
    else:
        layer = layers.Conv2D(filters, kernel, kernel_initializer=he("fan_in"), **shared)
    x = layers.BatchNormalization(epsilon=EPSILON, name=out or f"{name}_bn")(layer(x))
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if act else x
