"""What a phase of training trains, and what it is fed: pixels, or stored activations.

```mermaid
flowchart LR
    pixels --> full["the whole model"]
    activations["stored activations"] --> tail["what is behind the boundary"]
    pooled["stored pooled features"] --> head["the head, in warm-up"]
```

The parts share their layers with the whole model, which is what training returns.
"""

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from omegaconf import DictConfig

from conf.errors import UserError
from models.common import split_at
from train.common.data.types import Splits
from train.common.fitting import augment
from train.common.fitting.feature_cache import Activations, Rows
from train.common.fitting.progress import EpochBar

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


class Feed(Protocol):
    """What `fit` needs to know of a way to train."""

    def part(self, phase: str) -> "keras.Model":
        """The model that `phase` trains."""

    def training(
        self, phase: str, epoch: int, rows: np.ndarray, rng: np.random.Generator
    ) -> "tf.data.Dataset":
        """Batches of `rows`, in order, as `epoch` sees them."""

    def validation(self, phase: str) -> "tf.data.Dataset":
        """Batches of the validation images."""

    def reset(self) -> None:
        """Undo training where a checkpoint of another phase would not."""

    def finish(self, epochs: int) -> None:
        """Remove what no other run can use, after the last of `epochs`."""


class FromPixels:
    """Every step runs the whole model."""

    def __init__(self, model: "keras.Model", splits: Splits, config: DictConfig) -> None:
        self.model, self.splits, self.fit = model, splits, config.fit

    def part(self, _phase: str) -> "keras.Model":
        """The whole model."""
        return self.model

    def training(
        self, _phase: str, _epoch: int, rows: np.ndarray, rng: np.random.Generator
    ) -> "tf.data.Dataset":
        """Views of the images, drawn from `rng`."""
        size = self.splits.samples.load().shape[1]
        views = augment.draw(rng, len(rows), size, self.fit.augment)
        return batches(self.splits, rows, self.fit.batch_size, views, self.fit.augment.fill_value)

    def validation(self, _phase: str) -> "tf.data.Dataset":
        """The images as they are."""
        return batches(self.splits, self.splits.validation, self.fit.batch_size, None)

    def reset(self) -> None:
        """Nothing to do: checkpoints hold all weights."""

    def finish(self, _epochs: int) -> None:
        """Nothing to do: nothing was stored."""


class FromActivations:
    """Every step runs what trains; what is frozen answers once."""

    def __init__(
        self,
        model: "keras.Model",
        splits: Splits,
        config: DictConfig,
        bar: EpochBar,
        scope: str,
    ) -> None:
        import keras

        if config.fit.views is not None and config.fit.views < 1:
            raise UserError(
                f"fit.views={config.fit.views}: 1 or more, or null for new ones in every epoch"
            )
        prefix, tail = split_at(model, config.model.freeze)
        edge, pooled = (model.get_layer(name).output for name in (config.model.freeze, "pool"))
        still = keras.Model(edge, pooled)
        _, head = split_at(model, "pool")
        self.parts = {"warmup": head, "finetune": tail}
        self.splits, self.fit, self.bar = splits, config.fit, bar
        fresh = self.fit.views is None
        self.activations = Activations(
            prefix, still, splits.samples, config, scope if fresh else ""
        )
        self._start = tail.get_weights()

    def part(self, phase: str) -> "keras.Model":
        """The head or the tail."""
        return self.parts[phase]

    def training(
        self, phase: str, epoch: int, rows: np.ndarray, _rng: np.random.Generator
    ) -> "tf.data.Dataset":
        """View (epoch - 1) modulo `fit.views` of the images."""
        view = None
        if self.activations.augmented:
            view = epoch - 1 if self.fit.views is None else (epoch - 1) % self.fit.views
            if self.fit.views is None and epoch > 1:
                self.activations.forget(epoch - 2)
        return self._stored(phase, view, rows)

    def validation(self, phase: str) -> "tf.data.Dataset":
        """The images as they are."""
        return self._stored(phase, None, self.splits.validation)

    def reset(self) -> None:
        """Bring the tail back to where it started: checkpoints of warm-up hold the head alone."""
        self.parts["finetune"].set_weights(self._start)

    def finish(self, epochs: int) -> None:
        """Remove the last of the views that one epoch saw."""
        if self.fit.views is None:
            self.activations.forget(epochs - 1)

    def _stored(self, phase: str, view: int | None, rows: np.ndarray) -> "tf.data.Dataset":
        images = "images" if view is None else f"view {view + 1} of the images"
        with self.bar.task(f"frozen layers, {images}", len(rows)) as advance:
            compute = self.activations.pooled if phase == "warmup" else self.activations.at_boundary
            store = compute(view, rows, advance)
        return stored(self.splits, rows, store, self.fit.batch_size)


def batches(
    splits: Splits, rows: np.ndarray, batch_size: int, views: np.ndarray | None, fill_value: int = 0
) -> "tf.data.Dataset":
    """Batches of images uint8 (B, S, S, 3) and one-hot labels float32 (B, classes), in order.

    `views`, float32 (len(rows), 8), are the transforms of `augment.draw`; `None`
    shows the images as they are. Pixels are read from disk as batches are made.
    """
    import tensorflow as tf

    classes = len(splits.samples.classes)
    size = splits.samples.load().shape[1]

    def load(chosen: Any, labels: Any, *transforms: Any) -> tuple[Any, Any]:
        images = tf.numpy_function(splits.samples.read, [chosen], tf.uint8, stateful=False)
        images = tf.ensure_shape(images, (None, size, size, 3))
        if transforms:
            images = augment.warp(images, transforms[0], fill_value)
        return images, tf.one_hot(labels, classes)

    parts = (rows, splits.labels(rows)) + (() if views is None else (views,))
    data = tf.data.Dataset.from_tensor_slices(parts).batch(batch_size)
    return data.map(load, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def stored(splits: Splits, rows: np.ndarray, store: Rows, batch_size: int) -> "tf.data.Dataset":
    """Batches of what `store` holds for `rows`, float32 (B, ...), and one-hot labels, in order."""
    import tensorflow as tf

    classes = len(splits.samples.classes)

    def load(chosen: Any, labels: Any) -> tuple[Any, Any]:
        values = tf.numpy_function(store.read, [chosen], tf.float16, stateful=False)
        values = tf.ensure_shape(values, (None, *store.shape[1:]))
        return tf.cast(values, tf.float32), tf.one_hot(labels, classes)

    data = tf.data.Dataset.from_tensor_slices((rows, splits.labels(rows))).batch(batch_size)
    return data.map(load, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
