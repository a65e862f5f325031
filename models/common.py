"""Code that models share: backbone weights, the head, freezing, and export to ONNX."""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from conf.errors import UserError
from models.unlikeness import Reference, measured

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

FEATURE_MAP = "feature_map"
PROBABILITIES = "probabilities"
UNLIKENESS = "unlikeness"
"""Names of the outputs of a serving model; the last is there if the model has a reference."""
POOL = "pool"
"""Name of the layer between backbone and head."""
ONNX_BATCH = 32
"""Batch size of `onnx_predict`, which limits its memory."""


def load_backbone(
    application: Callable[..., "keras.Model"], weights: str, **arguments: Any
) -> "keras.Model":
    """`application(**arguments)` with `weights`: `imagenet`, `none` or a path of `.weights.h5`.

    It never uses other weights: it raises `UserError` when the download fails, or the file is
    missing or does not fit. A `UserError` of the application is raised again. The log names the
    weights, and the sha256 of a file.
    """
    if weights == "none":
        log.info("backbone weights: none (random initialisation)")
        return application(weights=None, **arguments)
    if weights == "imagenet":
        try:
            model = application(weights="imagenet", **arguments)
        except UserError:
            raise
        except Exception as error:  # Keras raises a bare Exception when a download fails
            raise UserError(
                f"model.weights=imagenet could not be downloaded ({error}); give the path of a "
                ".weights.h5 file (model.weights=...), or model.weights=none to start from "
                "random weights"
            ) from error
        log.info("backbone weights: imagenet")
        return model
    path = Path(weights)
    if not path.is_file():
        raise UserError(
            f"model.weights={weights} is not a file; choices: imagenet, none, the path of a "
            ".weights.h5 file, or a registered model, models:/<name>/<version>"
        )
    model = application(weights=None, **arguments)
    try:
        model.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"model.weights={weights} does not fit {model.name}, or is no weights file: {reason}"
        ) from error
    log.info("backbone weights: %s, sha256 %s", path, weights_digest(weights))
    return model


def weights_digest(weights: str) -> str:
    """Hex sha256 of a weights file; the word itself for `imagenet` and `none`."""
    if weights in ("imagenet", "none"):
        return weights
    with Path(weights).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def head(features: Any, classes: int, hidden: int, dropout: float) -> Any:
    """Probabilities (B, classes) from a feature map (B, h, w, C)."""
    from keras import layers

    x = layers.GlobalAveragePooling2D(name=POOL)(features)  # (B, C)
    x = layers.Dense(hidden, activation="relu", name="hidden")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    return layers.Dense(classes, activation="softmax", name=PROBABILITIES)(x)


def layers_after(model: "keras.Model", boundary: str) -> "list[keras.Layer]":
    """The layers behind `boundary` that can train: all except BatchNorm.

    In Keras, a BatchNorm that is not trainable runs in inference mode. Raises `UserError` when no
    layer has the name `boundary`.
    """
    import keras

    names = [layer.name for layer in model.layers]
    if boundary not in names:
        raise UserError(f"model.freeze={boundary} is no layer of {model.name}; see model.summary()")
    behind = model.layers[names.index(boundary) + 1 :]
    return [layer for layer in behind if not isinstance(layer, keras.layers.BatchNormalization)]


def head_layers(model: "keras.Model") -> "list[keras.Layer]":
    """The layers of the head: those behind `pool`."""
    return layers_after(model, POOL)


def train_only(model: "keras.Model", layers: "list[keras.Layer]") -> None:
    """Make `layers` of `model` trainable, and all other layers not trainable."""
    chosen = {id(layer) for layer in layers}
    for layer in model.layers:
        layer.trainable = id(layer) in chosen


def freeze(model: "keras.Model", boundary: str) -> None:
    """Freeze the layers up to and with `boundary`, and every BatchNorm."""
    train_only(model, layers_after(model, boundary))


def split_at(model: "keras.Model", boundary: str) -> tuple["keras.Model", "keras.Model"]:
    """Two models that share the layers of `model`: up to and with `boundary`, and behind it.

    Raises `UserError` if a connection, such as a skip connection, goes around the boundary.
    """
    import keras

    edge = model.get_layer(boundary).output
    before = keras.Model(model.input, edge, name=f"{model.name}_frozen")
    try:
        behind = keras.Model(edge, model.output, name=f"{model.name}_tail")
    except ValueError:
        behind = None
    parted = {id(layer) for part in (before, behind) if part for layer in part.layers}
    if behind is None or any(id(layer) not in parted for layer in model.layers):
        raise UserError(
            f"model.freeze={boundary} does not part {model.name}: a connection goes around it, so "
            "the other layers need more than its activations; choose another layer, or "
            "fit.cache=none"
        )
    return before, behind


def serving_model(model: "keras.Model", reference: Reference | None = None) -> "keras.Model":
    """The same graph with outputs by name: probabilities and the feature map before pooling.

    With a `reference` there is also unlikeness (B,).
    """
    import keras

    outputs = {PROBABILITIES: model.output, FEATURE_MAP: model.get_layer(POOL).input}
    if reference is not None:
        outputs[UNLIKENESS] = measured(model, reference)
    return keras.Model(model.input, outputs, name=model.name)


def export_onnx(model: "keras.Model", path: Path, reference: Reference | None = None) -> None:
    """Write `serving_model(model, reference)` as ONNX: `uint8` (B, S, S, 3) in, float32 out.

    The graph is converted with its weights as inputs, which become constants at the end. Otherwise
    tf2onnx copies graph and constants for each of its optimizers: 4 GB for 90 MB of weights.
    """
    import onnx
    import onnxruntime
    import tensorflow as tf
    import tf2onnx

    serving = serving_model(model, reference)
    trained, fixed = serving.trainable_variables, serving.non_trainable_variables
    weights = {f"weight_{i}": variable for i, variable in enumerate([*trained, *fixed])}

    @tf.function(autograph=False)
    def call(image: Any, *values: Any) -> Any:
        first, rest = values[: len(trained)], values[len(trained) :]
        return serving.stateless_call(first, rest, image, training=False)[0]

    given = [tf.TensorSpec(w.shape, w.dtype, name=name) for name, w in weights.items()]
    image = tf.TensorSpec(model.input.shape, model.input.dtype, name="image")
    proto, _ = tf2onnx.convert.from_function(call, [image, *given])
    graph = proto.graph
    used = {name for node in graph.node for name in node.input}
    for name in used & weights.keys():
        graph.initializer.append(onnx.numpy_helper.from_array(weights[name].numpy(), name))
    del graph.input[:]
    graph.input.append(
        onnx.helper.make_tensor_value_info(
            "image", onnx.TensorProto.UINT8, ["batch", *model.input.shape[1:]]
        )
    )
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)  # transposes and BatchNorm folded into weights
    onnxruntime.InferenceSession(
        proto.SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=["MatMulAddFusion"],  # the service reads the head as products and sums
    )


def onnx_predict(path: Path, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs by name of the ONNX model at `path` for `pixels`, uint8 (N, S, S, 3)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    given = session.get_inputs()[0].name
    parts = [
        session.run(names, {given: np.ascontiguousarray(pixels[start : start + ONNX_BATCH])})
        for start in range(0, len(pixels), ONNX_BATCH)
    ]
    return {name: np.concatenate([part[i] for part in parts]) for i, name in enumerate(names)}
