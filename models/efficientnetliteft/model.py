"""The graph of efficientnetliteft, which the docstring of the package describes."""

from functools import partial
from typing import TYPE_CHECKING, Any

from models.common import head, load_backbone
from models.efficientnetliteft.backbone import efficientnet_lite

if TYPE_CHECKING:
    import keras


def build(config: Any, classes: int) -> "keras.Model":
    """An uncompiled model from `uint8` images (B, S, S, 3) to probabilities (B, classes), float32.

    `config` is a `conf.schema.ImageModel`: its `variant` is `lite0` or `lite2`, its `weights` are
    loaded into the backbone and its `image_size` is S. Raises `conf.errors.UserError` for another
    variant, and when the weights are not available.
    """
    import keras

    pixels = keras.Input((config.image_size, config.image_size, 3), dtype="uint8", name="image")
    scaled = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="rescaling")(pixels)
    application = partial(efficientnet_lite, config.variant)
    backbone = load_backbone(application, config.weights, input_tensor=scaled)
    outputs = head(backbone.output, classes, config.hidden, config.dropout)
    return keras.Model(pixels, outputs, name=config.name)
