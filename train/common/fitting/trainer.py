"""Fine-tuning of an image classifier in two phases, one epoch at a time, resumable.

```mermaid
flowchart LR
    state["state after epoch e"] --> order["order and views<br/>drawn from (seed, e)"]
    order --> epoch["model.fit, one epoch"] --> save["checkpoint"] --> state
    save -->|"last epoch, or patience spent"| best["weights of the best epoch"]
```

Everything random in epoch e is drawn from (seed, e), so a resumed run takes the same steps as an
unbroken one. What a step runs is the feed's affair: the whole model on pixels, or what trains on
stored activations.
"""

import hashlib
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from sklearn.utils.class_weight import compute_class_weight

from conf.errors import UserError
from conf.schema import Cache, ClassWeights, Schedule
from datasets.common.images import READER
from models.common import freeze, freeze_backbone
from train.common.data.types import Fitted, Splits
from train.common.fitting.checkpoint import Checkpoints
from train.common.fitting.inputs import Feed, FromActivations, FromPixels
from train.common.fitting.precision import computing_in
from train.common.fitting.progress import EpochBar
from train.common.fitting.start import Build, Start, begin, structure

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

OnEpoch = Callable[[int, dict[str, float]], None]


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
    Raises `UserError` when there are fewer training images than a batch, and when another process
    does the same training.
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

    keras.utils.set_random_seed(config.seed)
    start = begin(build, splits, config)
    inputs = _inputs(start, splits, config)
    checkpoints = Checkpoints(Path(config.env.cache), inputs, fit.monitor.name, run_id)
    try:
        if not fit.resume:
            checkpoints.clear()
        if checkpoints.epochs:
            on_resume(checkpoints.run_id or "")
            for number, values in enumerate(checkpoints.epochs, 1):
                on_epoch(number, values)
        _say_where(checkpoints)
        return _train(start, splits, config, checkpoints, on_epoch)
    except BaseException:
        checkpoints.release()
        raise


def _say_where(checkpoints: Checkpoints) -> None:
    """Log whether the training is resumed, and why another one that began alike is not."""
    if checkpoints.epochs:
        log.info(
            "resuming after epoch %d of run %s (fit.resume=false starts afresh)",
            len(checkpoints.epochs),
            checkpoints.run_id or "?",
        )
        return
    for earlier, differ in checkpoints.others():
        log.warning(
            "starting afresh: run %s was left unfinished with the same settings, but other %s",
            earlier,
            ", ".join(differ),
        )


def _train(
    start: Start,
    splits: Splits,
    config: DictConfig,
    checkpoints: Checkpoints,
    on_epoch: OnEpoch,
) -> Fitted:
    """Train from the last of the finished epochs to the end; the model of the best one."""
    fit, model, phase = config.fit, start.model, ""
    total = fit.warmup.epochs + fit.finetune.epochs
    with EpochBar(total) as bar:
        feed = _feed(model, splits, config, bar, checkpoints.folder.name)
        with computing_in(fit.precision.name, feed.part("finetune")):
            for epoch in range(len(checkpoints.epochs) + 1, total + 1):
                if _patience_spent(checkpoints, fit.warmup.epochs, fit.patience):
                    name = fit.monitor.name
                    log.info("no better %s in %d epochs: stopping early", name, fit.patience)
                    break
                now = "warmup" if epoch <= fit.warmup.epochs else "finetune"
                if now != phase:
                    if phase == "" and checkpoints.epochs:
                        _restore(model, feed, checkpoints, epoch - 1, now, config)
                    else:
                        _compile(model, feed, now, config)
                    phase = now
                values = _one_epoch(feed, splits, config, phase, epoch, bar.callback(epoch, phase))
                if not np.isfinite([values["loss"], values["val_loss"]]).all():
                    raise UserError(
                        f"the loss is no longer a number in epoch {epoch}: lower fit.{phase}."
                        f"learning_rate={fit[phase].learning_rate}; earlier epochs are kept"
                    )
                checkpoints.save(feed.part(phase), {"phase": phase, **values})
                on_epoch(epoch, values)
        feed.finish(len(checkpoints.epochs))
    best = checkpoints.best()
    _restore(model, feed, checkpoints, best, "finetune", config)
    history = checkpoints.history
    history.insert(0, "epoch", np.arange(1, len(history) + 1))
    log.info("best epoch by %s: %d of %d", fit.monitor.name, best, len(history))
    return Fitted(model, history, best, checkpoints, start.notes)


def _feed(
    model: "keras.Model", splits: Splits, config: DictConfig, bar: EpochBar, run: str
) -> Feed:
    if config.fit.cache == Cache.none:
        return FromPixels(model, splits, config)
    return FromActivations(model, splits, config, bar, run)


def _inputs(start: Start, splits: Splits, config: DictConfig) -> dict[str, Any]:
    """All that decides the result of training: the key of its checkpoints."""
    samples = splits.samples
    settings: dict[str, Any] = {
        name: OmegaConf.to_container(config[name])
        for name in ("fit", "model", "split", "transform")
    }
    settings["fit"].pop("resume")
    settings["transform"].pop("workers")
    labels = samples.table["label"].to_numpy(dtype=np.int64)
    return {
        "settings": settings | {"seed": config.seed},
        "data": [samples.digest, samples.pixels.name if samples.pixels else ""],
        "labels": hashlib.sha256(labels.tobytes()).hexdigest(),
        "classes": list(samples.classes),
        "splits": splits.digest,
        "reader": READER,
        "weights": start.digest,
        "network": structure(start.model),
    }


def _patience_spent(checkpoints: Checkpoints, warmup: int, patience: int | None) -> bool:
    done = len(checkpoints.epochs)
    return patience is not None and done > warmup and done - checkpoints.best() >= patience


def _compile(model: "keras.Model", feed: Feed, phase: str, config: DictConfig) -> None:
    import keras

    if phase == "warmup":
        freeze(model, "pool")
    else:
        freeze(model, config.model.freeze)
    part, rate = feed.part(phase), config.fit[phase].learning_rate
    part.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    part.optimizer.build(part.trainable_variables)


def _restore(
    model: "keras.Model",
    feed: Feed,
    checkpoints: Checkpoints,
    epoch: int,
    phase: str,
    config: DictConfig,
) -> None:
    """Bring `model` to the state after `epoch`, compiled for `phase`.

    Where the phase changes the optimizer starts anew and only the weights carry over.
    """
    saved = checkpoints.epochs[epoch - 1]["phase"]
    feed.reset()
    _compile(model, feed, saved, config)
    feed.part(saved).load_weights(checkpoints.weights(epoch))
    if saved != phase:
        _compile(model, feed, phase, config)


def rate(fit: DictConfig, phase: str, epoch: int) -> float:
    """The learning rate of `epoch`, 1-based over both phases."""
    rate = float(fit[phase].learning_rate)
    if phase == "warmup" or fit.schedule == Schedule.constant:
        return rate
    done = (epoch - fit.warmup.epochs - 1) / fit.finetune.epochs
    return rate * (1 + math.cos(math.pi * done)) / 2


def _one_epoch(
    feed: Feed, splits: Splits, config: DictConfig, phase: str, epoch: int, bar: Any
) -> dict[str, float]:
    import keras

    fit, part = config.fit, feed.part(phase)
    part.optimizer.learning_rate = rate(fit, phase, epoch)
    started = time.perf_counter()
    rng = np.random.default_rng([config.seed, epoch])
    rows = rng.permutation(splits.train)
    if fit.steps is not None:
        rows = rows[: fit.steps * fit.batch_size]
    training = feed.training(phase, epoch, rows, rng)
    for layer in part.layers:
        if isinstance(layer, keras.layers.Dropout):  # a checkpoint does not hold its random state
            layer.seed_generator.state.assign(rng.integers(0, 2**32, 2, dtype=np.uint32))
    weights = None
    if fit.class_weights == ClassWeights.balanced:
        labels = splits.labels(splits.train)
        values = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
        weights = dict(enumerate(values.tolist()))
    history = part.fit(
        training,
        validation_data=feed.validation(phase),
        class_weight=weights,
        callbacks=[bar],
        shuffle=False,
        verbose=0,
    )
    values = {name: float(series[-1]) for name, series in history.history.items()}
    return values | {"seconds": time.perf_counter() - started}
