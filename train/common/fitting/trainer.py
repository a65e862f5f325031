"""Trainer of an image classifier: phase by phase, epoch by epoch, resumable.

```mermaid
flowchart LR
    state["state after epoch e"] --> order["order and views<br/>drawn from (seed, e)"]
    order --> epoch["model.fit, one epoch"] --> save["checkpoint"] --> state
    save -->|"last epoch, or patience spent"| best["weights of the best epoch"]
```

Everything random in epoch e is drawn from (seed, e), so a resumed run takes the same steps as an
unbroken one. `train.common.fitting.inputs` decides what a step computes: the whole model on pixels,
or only the layers that train, on stored activations.
"""

import hashlib
import logging
import math
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from conf.errors import UserError
from conf.schema import ClassWeights, ImageTraining, Phase, Schedule, plain
from datasets.common.images import READER
from models.common import head_layers, train_only
from train.common.data.types import DecodedImages, Splits, TrainedModel
from train.common.fitting.checkpoint import Checkpoints
from train.common.fitting.devices import used
from train.common.fitting.inputs import inputs_of
from train.common.fitting.precision import computing_in, scaled
from train.common.fitting.progress import EpochBar
from train.common.fitting.start import Start, structure

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)


class EpochLog(Protocol):
    """Logs finished epochs: `train.common.tracking.log.Run`."""

    id: str

    def log_epoch(self, epoch: int, values: dict[str, Any], /) -> None:
        """Log the metrics of a finished epoch, 1-based; also of epochs of a killed run."""

    def log_resumed(self, earlier: str) -> None:
        """Log that this run continues the killed run `earlier`."""


class Diverged(UserError):  # noqa: N818 -- a sweep goes on after it
    """The loss is no longer a number."""


class Trainer:
    """Trains the network of `start`. The phases run in its context.

        with Trainer(start, splits, settings, run) as trainer:
            trainer.phase("warmup", head_layers(start.model), settings.fit.warmup)
        trained = trainer.best()

    Raises `UserError` when there are fewer training images than a batch, and when another process
    does the same training.
    """

    def __init__(
        self, start: Start, splits: Splits[DecodedImages], settings: ImageTraining, run: EpochLog
    ) -> None:
        fit = settings.fit
        if len(splits.train) < fit.batch_size:
            raise UserError(
                f"{len(splits.train)} training images are fewer than a batch of {fit.batch_size}: "
                f"add images or set fit.batch_size to {len(splits.train)} or less"
            )
        self.start, self.splits, self.settings, self.run = start, splits, settings, run
        self.devices = used(fit)
        self.model = start.model
        self._phases: dict[str, list[keras.layers.Layer]] = {}
        """The layers of each phase that has begun."""
        self._within = ExitStack()

    def __enter__(self) -> "Trainer":
        settings = self.settings
        monitor, key = settings.fit.monitor.name, _decisive(self.start, self.splits, settings)
        self.checkpoints = Checkpoints(Path(settings.env.cache), key, monitor, self.run.id)
        try:
            self._resume()
            self._within.enter_context(self.devices.scope())
            self.bar = self._within.enter_context(EpochBar())
            scope = self.checkpoints.folder.name
            self.inputs = inputs_of(self.model, self.splits, settings, self.bar, scope)
            trained = self.inputs.part(False)
            self._within.enter_context(computing_in(settings.fit.precision.name, trained))
        except BaseException:
            self._within.close()
            self.checkpoints.release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.inputs.finish(len(self.checkpoints.epochs))
        self._within.close()
        if kind is not None:
            self.checkpoints.release()

    def phase(
        self,
        name: str,
        layers: "list[keras.layers.Layer]",
        phase: Phase,
        schedule: Schedule = Schedule.constant,
        patience: int | None = None,
    ) -> None:
        """Train `layers` for the epochs of `phase`, or until `patience` epochs bring no gain.

        Epochs that a killed run finished are not repeated. `phase` are the settings `fit.<name>`.
        Raises `Diverged` when the loss is no longer a number.
        """
        epochs = self.checkpoints.epochs
        self._phases[name] = layers
        if epochs and epochs[-1]["phase"] not in self._phases:
            return  # a killed run was in a later phase
        part = None
        if epochs and epochs[-1]["phase"] == name:
            part = self._compile(name, phase.learning_rate)
            part.load_weights(self.checkpoints.weights(len(epochs)))
        while (done := sum(epoch["phase"] == name for epoch in epochs)) < phase.epochs:
            if patience is not None and done and len(epochs) - self.checkpoints.best() >= patience:
                monitor = self.settings.fit.monitor.name
                log.info("no better %s in %d epochs: stopping early", monitor, patience)
                break
            part = part or self._compile(name, phase.learning_rate)
            part.optimizer.learning_rate = rate(phase, schedule, done)
            title = f"epoch {len(epochs) + 1}, {name} {done + 1} of {phase.epochs}"
            values = self._one_epoch(part, name, len(epochs) + 1, title)
            if not np.isfinite([values["loss"], values["val_loss"]]).all():
                raise Diverged(
                    f"the loss is no longer a number in epoch {len(epochs) + 1}: lower fit.{name}."
                    f"learning_rate={phase.learning_rate}; earlier epochs are kept"
                )
            self.checkpoints.save(part, {"phase": name, **values})
            self.run.log_epoch(len(epochs), values)

    def best(self) -> TrainedModel:
        """The model at its best epoch by `fit.monitor`; call it after the phases."""
        epochs, best = self.checkpoints.epochs, self.checkpoints.best()
        try:
            if not epochs:
                names = " and ".join(f"fit.{name}.epochs" for name in self._phases)
                raise UserError(f"{names} are 0: nothing was trained")
            self.inputs.reset()
            phase = epochs[best - 1]["phase"]
            with self.devices.scope():
                part = self._compile(phase)
                part.load_weights(self.checkpoints.weights(best))
            train_only(self.model, list(self._phases.values())[-1])
            model = self.devices.copied(self.model)
        except BaseException:
            self.checkpoints.release()
            raise
        history = self.checkpoints.history
        history.insert(0, "epoch", np.arange(1, len(history) + 1))
        log.info("best epoch by %s: %d of %d", self.checkpoints.monitor, best, len(history))
        if not self.settings.sweep:
            return TrainedModel(model, history, best, self.checkpoints.remove, self.start.notes)

        def validate() -> np.ndarray:
            given = self.inputs.validation(self._head_only(phase))
            return np.asarray(part.predict(given, verbose=0))

        done = self.checkpoints.release
        return TrainedModel(model, history, best, done, self.start.notes, validate=validate)

    def _resume(self) -> None:
        """Log the epochs of a killed run, and why another unfinished run is not resumed."""
        if not self.settings.fit.resume:
            self.checkpoints.clear()
        if not self.checkpoints.epochs:
            for earlier, differ in self.checkpoints.others():
                log.warning(
                    "starting afresh: run %s was left unfinished with the same settings, but "
                    "other %s", earlier, ", ".join(differ),
                )  # fmt: skip
            return
        self.run.log_resumed(self.checkpoints.run_id or "")
        for number, values in enumerate(self.checkpoints.epochs, 1):
            self.run.log_epoch(number, values)
        log.info(
            "resuming after epoch %d of run %s (fit.resume=false starts afresh)",
            len(self.checkpoints.epochs), self.checkpoints.run_id or "?",
        )  # fmt: skip

    def _head_only(self, name: str) -> bool:
        """Whether only the head trains in the phase `name` and in all phases before it."""
        head = {id(layer) for layer in head_layers(self.model)}
        names = list(self._phases)
        until = names[: names.index(name) + 1]
        return all(id(layer) in head for each in until for layer in self._phases[each])

    def _compile(self, name: str, learning_rate: float = 0.0) -> "keras.Model":
        """The model that the phase `name` trains, with a new optimizer."""
        import keras

        train_only(self.model, self._phases[name])
        part = self.inputs.part(self._head_only(name))
        adam = keras.optimizers.Adam(learning_rate)
        part.compile(
            optimizer=scaled(adam, self.settings.fit.precision.name),
            loss="categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=False,  # the same graph on a GPU as on a CPU, where it is off in any case
        )
        part.optimizer.build(part.trainable_variables)
        return part

    def _one_epoch(
        self, part: "keras.Model", name: str, epoch: int, title: str
    ) -> dict[str, float]:
        """Train `epoch` (1-based over all phases) and return its metrics; the bar shows `title`."""
        import keras

        fit, head_only = self.settings.fit, self._head_only(name)
        started = time.perf_counter()
        rng = np.random.default_rng([self.settings.seed, epoch])
        rows = rng.permutation(self.splits.train)
        if fit.steps is not None:
            rows = rows[: fit.steps * fit.batch_size]
        rows = rows[: len(rows) - len(rows) % len(self.devices.names)]  # an equal part for each
        training = self.inputs.training(head_only, epoch, rows, rng)
        for layer in part.layers:
            # A checkpoint lacks the random state; a rate of 0 has none.
            if isinstance(layer, keras.layers.Dropout) and layer.rate:
                layer.seed_generator.state.assign(rng.integers(0, 2**32, 2, dtype=np.uint32))
        history = part.fit(
            training,
            validation_data=self.inputs.validation(head_only),
            class_weight=_class_weights(self.splits, fit.class_weights),
            callbacks=[self.bar.callback(title)],
            shuffle=False,
            verbose=0,
        )
        values = {name: float(series[-1]) for name, series in history.history.items()}
        return values | {"seconds": time.perf_counter() - started}


def rate(phase: Phase, schedule: Schedule, done: int) -> float:
    """The learning rate of the next epoch after `done` epochs of `phase`."""
    if schedule == Schedule.constant:
        return phase.learning_rate
    return phase.learning_rate * (1 + math.cos(math.pi * done / phase.epochs)) / 2


def _class_weights(
    splits: Splits[DecodedImages], class_weights: ClassWeights
) -> dict[int, float] | None:
    if class_weights == ClassWeights.none:
        return None
    labels = splits.labels(splits.train)
    values = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
    return dict(enumerate(values.tolist()))


def _decisive(
    start: Start, splits: Splits[DecodedImages], settings: ImageTraining
) -> dict[str, Any]:
    """Everything that decides the result of a training: the key of its checkpoints."""
    images = splits.data
    parts = plain(settings)
    used = {name: parts[name] for name in ("fit", "model", "split", "transform", "seed")}
    used["fit"].pop("resume")
    used["transform"].pop("workers")
    labels = images.frame["label"].to_numpy(dtype=np.int64)
    return {
        "settings": used,
        "data": [images.digest, images.pixels.name],
        "labels": hashlib.sha256(labels.tobytes()).hexdigest(),
        "classes": list(images.classes),
        "splits": splits.digest,
        "reader": READER,
        "weights": start.digest,
        "network": structure(start.model),
    }
