"""Training in 16 bits: weights stay in float32, convolutions take half the time."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import dropwhile, takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


@contextmanager
def computing_in(precision: str, model: "keras.Model") -> Iterator[None]:
    """In this context, the layers from the first with weights up to `pool` use `precision`.

    The scaling of pixels, the head and the loss stay in float32. The model must be compiled in the
    context for this to take effect, and again after it. See `keras.DTypePolicy`, `mixed_bfloat16`
    and `mixed_float16`.
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


def scaled(optimizer: "keras.optimizers.Optimizer", precision: str) -> "keras.optimizers.Optimizer":
    """`optimizer`; in float16, whose range is small, with a loss scale that adapts by itself."""
    import keras

    return keras.optimizers.LossScaleOptimizer(optimizer) if precision == "float16" else optimizer
