"""The graph of {{cookiecutter.model}}, which the docstring of the package describes."""

from typing import TYPE_CHECKING, Any

from models.common import head, load_backbone

if TYPE_CHECKING:
    import keras


def build(config: Any, classes: int) -> "keras.Model":
    """An uncompiled model from `uint8` images (B, S, S, 3) to probabilities (B, classes), float32.

    `config` is a `conf.schema.ImageModel`: its `weights` are loaded into the backbone and its
    `image_size` is S. Raises `conf.errors.UserError` when the weights are not available.
    """
    import keras

    pixels = keras.Input((config.image_size, config.image_size, 3), dtype="uint8", name="image")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(pixels)
    backbone = load_backbone(
        keras.applications.ResNet50V2, config.weights, include_top=False, input_tensor=scaled
    )
    outputs = head(backbone.output, classes, config.hidden, config.dropout)
    return keras.Model(pixels, outputs, name=config.name)
