"""Fine-tuning of an image classifier in two phases, one epoch at a time, resumable.

```mermaid
flowchart LR
    state["state after epoch e"] --> order["order and views<br/>drawn from (seed, e)"]
    order --> epoch["model.fit, one epoch"] --> save["checkpoint"] --> state
    save -->|"last epoch, or patience spent"| best["weights of the best epoch"]
```

Everything random in epoch e is drawn from (seed, e), so a resumed run takes the same steps as an
unbroken one.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from sklearn.utils.class_weight import compute_class_weight

from conf.errors import UserError
from conf.schema import ClassWeights
from models.common import freeze, freeze_backbone, weights_digest
from train.common import augment
from train.common.checkpoint import Checkpoints
from train.common.progress import EpochBar
from train.common.values import Fitted, Splits

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

log = logging.getLogger(__name__)

Build = Callable[[DictConfig, int], "keras.Model"]
OnEpoch = Callable[[int, dict[str, float]], None]


def batches(
    splits: Splits, rows: np.ndarray, batch_size: int, views: np.ndarray | None, fill_value: int = 0
) -> "tf.data.Dataset":
    """Batches of images uint8 (B, S, S, 3) and one-hot labels float32 (B, classes), in order.

    `views`, float32 (len(rows), 8), are the transforms of `train.common.augment.draw`; `None`
    shows the images as they are. Pixels are read from the memory map as batches are made.
    """
    import tensorflow as tf

    pixels = splits.samples.load()
    classes = len(splits.samples.classes)
    size = pixels.shape[1]

    def read(chosen: np.ndarray) -> np.ndarray:
        return pixels[chosen]

    def load(chosen: Any, labels: Any, *transforms: Any) -> tuple[Any, Any]:
        images = tf.numpy_function(read, [chosen], tf.uint8, stateful=False)
        images = tf.ensure_shape(images, (None, size, size, 3))
        if transforms:
            images = augment.warp(images, transforms[0], fill_value)
        return images, tf.one_hot(labels, classes)

    parts = (rows, splits.labels(rows)) + (() if views is None else (views,))
    data = tf.data.Dataset.from_tensor_slices(parts).batch(batch_size)
    return data.map(load, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def fine_tune(
    splits: Splits,
    config: DictConfig,
    build: Build,
    on_epoch: OnEpoch,
    on_resume: Callable[[str], None],
    run_id: str,
) -> Fitted:
    """Warm up the head, fine-tune behind the freeze boundary, return the best epoch's model.

    `config` is the whole run. `on_epoch(epoch, values)` hears of every finished epoch, also of
    those a killed run left, after `on_resume` with the id of that run; `run_id` is this run's.
    Raises `UserError` when there are fewer training images than a batch.
    """
    fit = config.fit
    if len(splits.train) < fit.batch_size:
        raise UserError(
            f"{len(splits.train)} training images are fewer than a batch of {fit.batch_size}: add "
            f"images or set fit.batch_size to {len(splits.train)} or less"
        )
    total = fit.warmup.epochs + fit.finetune.epochs
    if total < 1:
        raise UserError("fit.warmup.epochs and fit.finetune.epochs are both 0: nothing to train")
    import keras

    checkpoints = Checkpoints(Path(config.env.cache), _inputs(splits, config))
    if not fit.resume:
        checkpoints.clear()
    keras.utils.set_random_seed(config.seed)
    model = build(config.model, len(splits.samples.classes))
    if checkpoints.epochs:
        log.info(
            "resuming after epoch %d of run %s (fit.resume=false starts afresh)",
            len(checkpoints.epochs),
            checkpoints.run_id or "?",
        )
        on_resume(checkpoints.run_id or "")
        for number, values in enumerate(checkpoints.epochs, 1):
            on_epoch(number, values)
    monitor = fit.monitor.name
    phase = ""
    with EpochBar(total) as bar:
        for epoch in range(len(checkpoints.epochs) + 1, total + 1):
            if _patience_spent(checkpoints, fit.warmup.epochs, fit.patience, monitor):
                log.info("no better %s in %d epochs: stopping early", monitor, fit.patience)
                break
            now = "warmup" if epoch <= fit.warmup.epochs else "finetune"
            if now != phase:
                if phase == "" and checkpoints.epochs:
                    _restore(model, checkpoints, epoch - 1, now, config)
                else:
                    _compile(model, now, config)
                phase = now
            values = _one_epoch(model, splits, config, epoch, bar.callback(epoch, phase))
            if not np.isfinite([values["loss"], values["val_loss"]]).all():
                raise UserError(
                    f"the loss is no longer a number in epoch {epoch}: lower fit.{phase}."
                    f"learning_rate={fit[phase].learning_rate}; earlier epochs are kept"
                )
            checkpoints.save(model, {"phase": phase, **values}, monitor, run_id)
            on_epoch(epoch, values)
    best = checkpoints.best(monitor)
    _restore(model, checkpoints, best, "finetune", config)
    history = checkpoints.history
    history.insert(0, "epoch", np.arange(1, len(history) + 1))
    log.info("best epoch by %s: %d of %d", monitor, best, len(history))
    return Fitted(model, history, best, checkpoints.folder)


def _inputs(splits: Splits, config: DictConfig) -> dict[str, Any]:
    """All that decides the result of training: the key of its checkpoints."""
    fit: Any = OmegaConf.to_container(config.fit)
    fit.pop("resume")
    return {
        "fit": fit,
        "model": OmegaConf.to_container(config.model),
        "weights": weights_digest(config.model.weights),
        "splits": splits.digest,
        "seed": config.seed,
    }


def _patience_spent(
    checkpoints: Checkpoints, warmup: int, patience: int | None, monitor: str
) -> bool:
    done = len(checkpoints.epochs)
    return patience is not None and done > warmup and done - checkpoints.best(monitor) >= patience


def _compile(model: "keras.Model", phase: str, config: DictConfig) -> None:
    import keras

    if phase == "warmup":
        freeze_backbone(model)
    else:
        freeze(model, config.model.freeze)
    rate = config.fit[phase].learning_rate
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.optimizer.build(model.trainable_variables)


def _restore(
    model: "keras.Model", checkpoints: Checkpoints, epoch: int, phase: str, config: DictConfig
) -> None:
    """Bring `model` to the state after `epoch`, compiled for `phase`.

    Where the phase changes the optimizer starts anew and only the weights carry over.
    """
    saved = checkpoints.epochs[epoch - 1]["phase"]
    _compile(model, saved, config)
    model.load_weights(checkpoints.weights(epoch))
    if saved != phase:
        _compile(model, phase, config)


def _one_epoch(
    model: "keras.Model", splits: Splits, config: DictConfig, epoch: int, bar: Any
) -> dict[str, float]:
    import keras

    fit = config.fit
    rng = np.random.default_rng([config.seed, epoch])
    rows = rng.permutation(splits.train)
    size = splits.samples.load().shape[1]
    views = augment.draw(rng, len(rows), size, fit.augment)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):  # a checkpoint does not hold its random state
            layer.seed_generator.state.assign(rng.integers(0, 2**32, 2, dtype=np.uint32))
    weights = None
    if fit.class_weights == ClassWeights.balanced:
        labels = splits.labels(splits.train)
        values = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
        weights = dict(enumerate(values.tolist()))
    started = time.perf_counter()
    history = model.fit(
        batches(splits, rows, fit.batch_size, views, fit.augment.fill_value),
        validation_data=batches(splits, splits.validation, fit.batch_size, None),
        class_weight=weights,
        callbacks=[bar],
        shuffle=False,
        verbose=0,
    )
    values = {name: float(series[-1]) for name, series in history.history.items()}
    return values | {"seconds": time.perf_counter() - started}
