"""The model that a phase trains, and its batches: pixels, or stored activations.

```mermaid
flowchart LR
    pixels --> full["the whole model"]
    activations["stored activations"] --> tail["the layers behind the freeze boundary"]
    pooled["stored pooled features"] --> head["the head, in warm-up"]
```

The parts share their layers with the whole model, which the training returns.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from conf.errors import UserError
from conf.schema import Augment, Cache, ImageTraining
from models.common import POOL, PROBABILITIES, UNLIKENESS, split_at
from models.unlikeness import Reference, measured
from train.common.data.types import DecodedImages, Predictions, Splits, TrainedModel
from train.common.fitting import augment
from train.common.fitting.devices import found, used
from train.common.fitting.feature_cache import FeatureCache, Rows
from train.common.fitting.progress import EpochBar

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

BATCH = 8
"""Batch size of the whole network on a CPU: 32 takes 190 MB more, and hardly less time."""


class Inputs(Protocol):
    """Interface between the trainer and the two kinds of inputs.

    `head_only` says that no layer before `pool` has trained yet, nor will train in this phase.
    """

    def part(self, head_only: bool) -> "keras.Model":
        """The model that a phase trains."""

    def training(
        self, head_only: bool, epoch: int, rows: np.ndarray, rng: np.random.Generator
    ) -> "tf.data.Dataset":
        """Batches of `rows`, in order, with the views of `epoch` (1-based)."""

    def validation(self, head_only: bool) -> "tf.data.Dataset":
        """Batches of the validation images."""

    def reset(self) -> None:
        """Restore the initial weights that a checkpoint of the head does not contain."""

    def finish(self, epochs: int) -> None:
        """Remove files that no other run can use, after the last of `epochs`."""


def inputs_of(
    model: "keras.Model",
    splits: Splits[DecodedImages],
    settings: ImageTraining,
    bar: EpochBar,
    scope: str,
) -> Inputs:
    """The inputs that `fit.cache` names; views of one epoch are not shared with another `scope`."""
    if settings.fit.cache == Cache.none:
        return PixelInputs(model, splits, settings)
    return CachedInputs(model, splits, settings, bar, scope)


class PixelInputs:
    """Inputs for steps that run the whole model on pixels."""

    def __init__(
        self, model: "keras.Model", splits: Splits[DecodedImages], settings: ImageTraining
    ) -> None:
        self.model, self.splits, self.fit = model, splits, settings.fit
        self.devices = used(self.fit)

    def part(self, _head_only: bool) -> "keras.Model":
        """The whole model."""
        return self.model

    def training(
        self, _head_only: bool, _epoch: int, rows: np.ndarray, rng: np.random.Generator
    ) -> "tf.data.Dataset":
        """Views of the images, drawn from `rng`."""
        size = self.splits.data.load().shape[1]
        views = augment.random_views(rng, len(rows), size, self.fit.augment)
        return batches(self.splits, rows, self.fit.batch_size, (views, self.fit.augment))

    def validation(self, _head_only: bool) -> "tf.data.Dataset":
        """The images as they are."""
        rows = self.splits.validation
        size = self.devices.validation_batch(len(rows), self.fit.batch_size)
        return batches(self.splits, rows, size, None)

    def reset(self) -> None:
        """Does nothing: checkpoints hold all weights."""

    def finish(self, _epochs: int) -> None:
        """Does nothing: nothing was stored."""


class CachedInputs:
    """Inputs for steps that run only the layers that train, on stored activations."""

    def __init__(
        self,
        model: "keras.Model",
        splits: Splits[DecodedImages],
        settings: ImageTraining,
        bar: EpochBar,
        scope: str,
    ) -> None:
        import keras

        fit, boundary = settings.fit, settings.model.freeze
        if fit.views is not None and fit.views < 1:
            raise UserError(
                f"fit.views={fit.views}: 1 or more, or null for new views in every epoch"
            )
        prefix, self.tail = split_at(model, boundary)
        edge, pooled = (model.get_layer(name).output for name in (boundary, POOL))
        still = keras.Model(edge, pooled)
        _, self.head = split_at(model, POOL)
        self.splits, self.fit, self.bar = splits, fit, bar
        self.cache = FeatureCache(
            prefix, still, splits.data, settings, scope if fit.views is None else ""
        )
        self._start = self.tail.get_weights()

    def part(self, head_only: bool) -> "keras.Model":
        """The head, or all layers behind the boundary."""
        return self.head if head_only else self.tail

    def training(
        self, head_only: bool, epoch: int, rows: np.ndarray, _rng: np.random.Generator
    ) -> "tf.data.Dataset":
        """View (epoch - 1) modulo `fit.views` of the images."""
        view = None
        if self.cache.augmented:
            view = epoch - 1 if self.fit.views is None else (epoch - 1) % self.fit.views
            if self.fit.views is None and epoch > 1:
                self.cache.forget(epoch - 2)
        return self._stored(head_only, view, rows, self.fit.batch_size)

    def validation(self, head_only: bool) -> "tf.data.Dataset":
        """The images as they are."""
        rows = self.splits.validation
        size = self.cache.devices.validation_batch(len(rows), self.fit.batch_size)
        return self._stored(head_only, None, rows, size)

    def reset(self) -> None:
        """Restore the initial weights of the tail."""
        self.tail.set_weights(self._start)

    def finish(self, epochs: int) -> None:
        """Remove the view of the last epoch if each epoch has its own."""
        if self.fit.views is None:
            self.cache.forget(epochs - 1)

    def _stored(
        self, head_only: bool, view: int | None, rows: np.ndarray, batch_size: int
    ) -> "tf.data.Dataset":
        images = "images" if view is None else f"view {view + 1} of the images"
        with self.bar.task(f"frozen layers, {images}", len(rows)) as advance:
            compute = self.cache.pooled if head_only else self.cache.at_boundary
            store = compute(view, rows, advance)
        return stored(self.splits, rows, store, batch_size)


def predict(trained: TrainedModel, splits: Splits[DecodedImages], rows: np.ndarray) -> Predictions:
    """Predictions of the model for the images of `rows`, in their order."""
    size = found().first().batch(BATCH)
    judging = _judging(trained.model, trained.reference)
    answers = judging.predict(batches(splits, rows, size, None), verbose=0)
    frame, classes = splits.data.frame.iloc[rows], splits.data.classes
    return Predictions(frame, answers[PROBABILITIES], classes, answers.get(UNLIKENESS))


@lru_cache(maxsize=1)  # validation, test and export share one graph
def _judging(model: "keras.Model", reference: Reference | None) -> "keras.Model":
    """The same network with outputs by name: probabilities, and unlikeness with a `reference`."""
    import keras

    outputs = {PROBABILITIES: model.output}
    if reference is not None:
        outputs[UNLIKENESS] = measured(model, reference)
    return keras.Model(model.input, outputs)


def batches(
    splits: Splits[DecodedImages],
    rows: np.ndarray,
    batch_size: int,
    augmented: tuple[np.ndarray, Augment] | None,
) -> "tf.data.Dataset":
    """Batches of images uint8 (B, S, S, 3) and one-hot labels float32 (B, classes), in order.

    `augmented` are `augment.random_views`, one for each row, and their settings; `None` gives the
    images without augmentation. Pixels are read from disk when a batch is made.
    """
    import tensorflow as tf

    classes = len(splits.data.classes)
    size = splits.data.load().shape[1]

    def load(chosen: Any, labels: Any, *views: Any) -> tuple[Any, Any]:
        images = tf.numpy_function(splits.data.read, [chosen], tf.uint8, stateful=False)
        images = tf.ensure_shape(images, (None, size, size, 3))
        if augmented:
            images = augment.view(images, views[0], augmented[1])
        return images, tf.one_hot(labels, classes)

    parts = (rows, splits.labels(rows)) + (augmented[:1] if augmented else ())
    data = tf.data.Dataset.from_tensor_slices(parts).batch(batch_size)
    return data.map(load, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def stored(
    splits: Splits[DecodedImages], rows: np.ndarray, store: Rows, batch_size: int
) -> "tf.data.Dataset":
    """Batches of the rows of `store`, float32 (B, ...), and one-hot labels, in order."""
    import tensorflow as tf

    classes = len(splits.data.classes)

    def load(chosen: Any, labels: Any) -> tuple[Any, Any]:
        values = tf.numpy_function(store.read, [chosen], tf.float16, stateful=False)
        values = tf.ensure_shape(values, (None, *store.shape[1:]))
        return tf.cast(values, tf.float32), tf.one_hot(labels, classes)

    data = tf.data.Dataset.from_tensor_slices((rows, splits.labels(rows))).batch(batch_size)
    return data.map(load, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
