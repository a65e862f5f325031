"""How fast this machine multiplies, and how much a training has to."""

import time
from typing import Any

import numpy as np
from omegaconf import DictConfig

SIDE = 2000
"""Of the matrices: large enough for the best rate, small enough for a fraction of a second."""


def matrix_rate() -> float:
    """FLOP/s of a product of two float32 matrices, the best of five."""
    rng = np.random.default_rng(0)
    a, b = (rng.random((SIDE, SIDE), dtype=np.float32) for _ in range(2))
    taken = []
    for _ in range(5):
        started = time.perf_counter()
        a @ b
        taken.append(time.perf_counter() - started)
    return 2 * SIDE**3 / min(taken)


def forward(model: Any) -> float:
    """FLOP of one image through the convolutions and dense layers of `model`."""
    import keras

    total = 0.0
    for layer in model.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            total += 2 * np.prod(layer.output.shape[1:]) * np.prod(layer.kernel_size)
        elif isinstance(layer, keras.layers.Conv2D):
            inputs = layer.kernel.shape[2]
            total += 2 * np.prod(layer.output.shape[1:]) * np.prod(layer.kernel_size) * inputs
        elif isinstance(layer, keras.layers.Dense):
            total += 2 * np.prod(layer.kernel.shape)
    return float(total)


def operations(config: DictConfig) -> dict[str, float]:
    """FLOP an image of the frozen layers, of the tail, and of one training step of the tail.

    A step is the forward product and two backward ones, for the weights and for the inputs. The
    layers that read the boundary could do without the last, some percent of it all.
    """
    import importlib

    from models.common import split_at

    build = importlib.import_module(f"models.{config.model.name}.model").build
    model = build(config.model, len(config.dataset.classes))
    prefix, tail = split_at(model, config.model.freeze)
    return {"frozen": forward(prefix), "tail": forward(tail), "tail step": 3 * forward(tail)}
