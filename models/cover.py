"""Hide parts of every image that are not the finding: the border, and one rectangle.

Frames of endoscopes have a dark border and a green inset, and CT slices have burnt-in text: they
can give the class away. What is hidden becomes black. It is not cut off, so positions in the image,
and Grad-CAM over it, stay where they are.

```mermaid
flowchart LR
    image["image uint8 (B, S, S, 3)"] --> cover["cover: times a constant mask"] --> network
```

The mask is the first layer of the network, so the served model hides the same parts whatever sends
it images. Training hides them in the stored pixels too: augmentation moves the image, and would
move the border out from under the mask. Hiding twice changes nothing.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from conf.errors import UserError

if TYPE_CHECKING:
    import keras

COVER = "cover"
"""Name of the layer."""


def hides(transform: Any) -> bool:
    """Whether `transform`, a `conf.schema.Transform`, hides anything."""
    return transform.hide_border > 0 or transform.hide_inset is not None


def mask(transform: Any, size: int) -> np.ndarray:
    """uint8 (S, S, 1), S being `size`: 0 where `transform` hides, else 1.

    Raises `UserError` if the border hides everything, or the inset is no rectangle in the image.
    """
    border, inset = transform.hide_border, transform.hide_inset
    if not 0 <= border < 0.5:
        raise UserError(
            f"transform.hide_border={border} is hidden at each side: give 0 to less than 0.5"
        )
    edge = round(border * size)
    seen = np.zeros((size, size, 1), np.uint8)
    seen[edge : size - edge, edge : size - edge] = 1
    if inset is not None:
        if len(inset) != 4 or not (0 <= inset[0] < inset[2] <= 1 and 0 <= inset[1] < inset[3] <= 1):
            raise UserError(
                f"transform.hide_inset={inset}: give [left, top, right, bottom] as fractions of "
                "the image, from 0 to 1, left less than right and top less than bottom"
            )
        left, top, right, bottom = (round(each * size) for each in inset)
        seen[top:bottom, left:right] = 0
    return seen


def inside(pixels: np.ndarray, transform: Any) -> np.ndarray:
    """Images (N, S, S, 3) without the border that `transform` hides, a view of `pixels`."""
    size = pixels.shape[1]
    edge = round(transform.hide_border * size)
    return pixels[:, edge : size - edge, edge : size - edge]


def said(transform: Any) -> dict[str, str]:
    """What is hidden, as a fact of a report; empty if nothing is."""
    parts = []
    if transform.hide_border > 0:
        parts.append(f"a border of {transform.hide_border:g} of the side")
    if transform.hide_inset is not None:
        parts.append(f"the rectangle {list(transform.hide_inset)}")
    return {"hidden": " and ".join(parts)} if parts else {}


def covered(model: "keras.Model", transform: Any) -> "keras.Model":
    """`model` with the mask of `transform` before its first layer; `model` itself if it hides none.

    The weights are copied.
    """
    import keras

    if not hides(transform):
        return model
    seen = mask(transform, model.input.shape[1]).astype(np.float32)
    cover = keras.layers.Rescaling(seen, name=COVER)

    def call(layer: Any, images: Any, *others: Any, **options: Any) -> Any:
        first = getattr(images, "dtype", "") == model.input.dtype  # only pixels are uint8
        return layer(cover(images) if first else images, *others, **options)

    hiding = keras.models.clone_model(model, call_function=call)
    hiding.set_weights(model.get_weights())
    return hiding
