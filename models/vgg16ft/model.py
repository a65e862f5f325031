"""The graph of vgg16ft, which the docstring of the package describes."""

from typing import TYPE_CHECKING, Any

from models.common import head, load_backbone

if TYPE_CHECKING:
    import keras

MEANS = (103.939, 116.779, 123.68)
"""Mean blue, green and red of ImageNet, which the published weights expect subtracted."""


def build(config: Any, classes: int) -> "keras.Model":
    """An uncompiled model from `uint8` images (B, S, S, 3) to probabilities (B, classes), float32.

    `config` is a `conf.schema.ImageModel`: its `weights` are loaded into the backbone and its
    `image_size` is S. Raises `conf.errors.UserError` when the weights are not available.
    """
    import keras

    pixels = keras.Input((config.image_size, config.image_size, 3), dtype="uint8", name="image")
    bgr = keras.ops.take(pixels, [2, 1, 0], axis=-1)
    centred = keras.layers.Rescaling(1.0, offset=[-m for m in MEANS], name="centring")(bgr)
    backbone = load_backbone(
        keras.applications.VGG16, config.weights, include_top=False, input_tensor=centred
    )
    outputs = head(backbone.output, classes, config.hidden, config.dropout)
    return keras.Model(pixels, outputs, name=config.name)
