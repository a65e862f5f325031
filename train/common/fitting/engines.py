"""The frozen layers as a function of arrays: OpenVINO on a CPU, Keras on GPUs."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from train.common.fitting.devices import Devices
from train.common.fitting.precision import computing_in

if TYPE_CHECKING:
    import keras

Compute = Callable[[np.ndarray], np.ndarray]

HINTS = {"float32": "f32", "bfloat16": "bf16"}
"""OpenVINO's words for `fit.precision`."""


def engine(model: "keras.Model", precision: str, devices: Devices) -> Compute:
    """`model` as a function of arrays (B, ...), on `devices`."""
    if devices.kind == "GPU":
        return on_gpus(model, precision, devices)
    return openvino(model, precision)


def openvino(model: "keras.Model", precision: str) -> Compute:
    """`model` as a function of arrays (B, ...), compiled by OpenVINO for all cores.

    Measured against TensorFlow with oneDNN and ONNX Runtime: tests/benchmarks/training.py.
    """
    import openvino as ov

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.xml")
        with computing_in("float32", model):  # OpenVINO itself rounds to `precision`
            model.export(str(path), format="openvino", verbose=False)
        core = ov.Core()
        compiled = core.compile_model(
            core.read_model(path),
            "CPU",
            {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": HINTS[precision]},
        )
    request = compiled.create_infer_request()

    def compute(inputs: np.ndarray) -> np.ndarray:
        return next(iter(request.infer([inputs], share_inputs=True).values()))

    return compute


def on_gpus(model: "keras.Model", precision: str, devices: Devices) -> Compute:
    """`model` as a function of arrays (B, ...); each device computes an equal part of them."""
    import tensorflow as tf

    strategy, count = devices.strategy, len(devices.names)

    @tf.function(autograph=False, reduce_retracing=True)
    def answers(parts: Any) -> Any:
        return strategy.run(lambda part: model(part, training=False), args=(parts,))

    def compute(inputs: np.ndarray) -> np.ndarray:
        rows = np.arange(-(-len(inputs) // count) * count) % len(inputs)  # some twice, to be equal
        parts = np.split(inputs[rows], count)
        given = strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group])
        )
        with computing_in(precision, model):
            results = strategy.experimental_local_results(answers(given))
        return np.concatenate([result.numpy() for result in results])[: len(inputs)]

    return compute
