"""Training in bfloat16: the same weights in float32, convolutions at half the time."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import dropwhile, takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


@contextmanager
def computing_in(precision: str, model: "keras.Model") -> Iterator[None]:
    """Within, the layers of `model` from the first with weights up to `pool` use `precision`.

    What scales the pixels, the head and the loss stay in float32. A model must be compiled within
    to take notice, and again afterwards. See `keras.DTypePolicy` on `mixed_bfloat16`.
    """
    import keras

    behind_scaling = dropwhile(lambda layer: not layer.weights, model.layers)
    layers = list(takewhile(lambda layer: layer.name != "pool", behind_scaling))
    policy = keras.DTypePolicy("float32" if precision == "float32" else f"mixed_{precision}")
    before = [layer.dtype_policy for layer in layers]
    for layer in layers:
        layer.dtype_policy = policy
    try:
        yield
    finally:
        for layer, earlier in zip(layers, before, strict=True):
            layer.dtype_policy = earlier
