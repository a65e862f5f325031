"""The devices of a training: the GPUs that TensorFlow sees, or the CPU.

| part | CPU | one GPU | several GPUs of one machine |
|---|---|---|---|
| frozen layers | OpenVINO | Keras | Keras, each batch is divided among them |
| training and validation | Keras | Keras | Keras, `tf.distribute.MirroredStrategy` |
| evaluation and export | Keras | Keras | Keras, on the first GPU |

`CUDA_VISIBLE_DEVICES` hides GPUs from TensorFlow.
"""

import functools
import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from conf.errors import UserError
from conf.schema import Fit

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

log = logging.getLogger(__name__)

GPU_BATCH = 64
"""Images in one batch of a GPU where nothing trains; VGG16 at 224 pixels takes about 2 GB."""
NEEDED = {"float16": 7.0, "bfloat16": 8.0}
"""Compute capability of the first NVIDIA GPUs with matrix units for it: Volta, Ampere."""


@dataclass(frozen=True)
class Devices:
    """One CPU, or one or more GPUs."""

    kind: str
    """`CPU` or `GPU`."""
    names: tuple[str, ...]
    """TensorFlow's names, such as `/device:GPU:0`."""
    product: str = ""
    """Name of the first GPU, such as `Tesla T4`."""
    capability: float = 0.0
    """Compute capability of the weakest GPU."""

    def __str__(self) -> str:
        facts = f" ({self.product}, compute capability {self.capability})" if self.product else ""
        return f"{len(self.names)} x {self.kind}{facts}"

    @property
    def strategy(self) -> "tf.distribute.Strategy":
        """A `MirroredStrategy` of several devices; TensorFlow's default of one."""
        return _strategy(self.names)

    def scope(self) -> AbstractContextManager[Any]:
        """The context in which a model is built and trained on these devices."""
        return self.strategy.scope() if len(self.names) > 1 else nullcontext()

    def batch(self, on_cpu: int) -> int:
        """Images in a batch where nothing trains; all GPUs together."""
        return GPU_BATCH * len(self.names) if self.kind == "GPU" else on_cpu

    def first(self) -> "Devices":
        """The first device alone."""
        return replace(self, names=self.names[:1])

    def validation_batch(self, rows: int, on_cpu: int) -> int:
        """Images in a batch of validation.

        With several devices, Keras divides each batch by their number, rounded up, and fails if one
        gets no image, or if the first batch is uneven. This is the largest batch for which neither
        happens. Raises `UserError` if there is none, as with 5 images on 2 devices.
        """
        count = len(self.names)
        if count == 1:
            return self.batch(on_cpu)
        for size in range(min(self.batch(on_cpu), rows) // count * count, 0, -count):
            rest = rows % size
            if not rest or rest > (count - 1) * -(-rest // count):
                return size
        raise UserError(
            f"{rows} validation images cannot be divided among {count} devices: add images, or use "
            "one GPU, CUDA_VISIBLE_DEVICES=0"
        )

    def copied(self, model: "keras.Model") -> "keras.Model":
        """`model`; if it is on several devices, a copy on the first one, not compiled."""
        if len(self.names) == 1:
            return model
        import keras

        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        return copy


@functools.cache
def _strategy(names: tuple[str, ...]) -> "tf.distribute.Strategy":
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(names) if len(names) > 1 else tf.distribute.get_strategy()


@functools.cache
def found() -> Devices:
    """The GPUs that TensorFlow sees, or its CPU devices: one, unless its settings divide it."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    facts = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    kind = "GPU" if gpus else "CPU"
    names = tuple(device.name for device in tf.config.list_logical_devices(kind))
    if not gpus:
        return Devices(kind, names)
    weakest = min(tuple(fact.get("compute_capability", (0, 0))) for fact in facts)
    product = str(facts[0].get("device_name", "unknown"))
    return Devices(kind, names, product, float(f"{weakest[0]}.{weakest[1]}"))


def used(fit: Fit) -> Devices:
    """The devices that a training with `fit` uses.

    With `fit.precision=float16` this is one GPU, and the log says so: under `MirroredStrategy`,
    Keras 3.15 looks for overflow in the gradients of the first GPU only, and an overflow on another
    one would spoil the weights. Raises `UserError` if the devices do not compute in
    `fit.precision`, or if `fit.batch_size` is not a multiple of their number.
    """
    devices, precision = found(), fit.precision.name
    if devices.kind == "CPU" and precision == "float16":
        raise UserError(
            "fit.precision=float16 needs a GPU, and TensorFlow sees none: set up with make setup "
            "ACCELERATOR=gpu and NVIDIA's driver, or set fit.precision=float32"
        )
    needed = NEEDED.get(precision, 0.0)
    if devices.kind == "GPU" and devices.capability < needed:
        raise UserError(
            f"fit.precision={precision} needs compute capability {needed}, and {devices.product} "
            f"has {devices.capability}: set fit.precision=float32"
        )
    count = len(devices.names)
    if count > 1 and precision == "float16":
        _once("fit.precision=float16 trains on one GPU of %d; bfloat16 and float32 use all", count)
        return devices.first()
    if fit.batch_size % count:
        raise UserError(
            f"fit.batch_size={fit.batch_size} cannot be divided among {count} devices: set "
            f"fit.batch_size={-(-fit.batch_size // count) * count}, or hide some from TensorFlow "
            "with CUDA_VISIBLE_DEVICES"
        )
    return devices


@functools.cache
def _once(message: str, count: int) -> None:
    log.warning(message, count)
