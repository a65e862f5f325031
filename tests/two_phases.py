"""The two phases of an image pipeline, without a run around them."""

from typing import Any

from models.common import head_layers, layers_after, weights_digest
from train.common.data.types import Splits, TrainedModel
from train.common.fitting.start import Build, Start
from train.common.fitting.trainer import EpochLog, Trainer


def fine_tune(splits: Splits[Any], settings: Any, build: Build, run: EpochLog) -> TrainedModel:
    """Warm up the head, fine-tune behind the freeze boundary; the best epoch's model."""
    import keras

    keras.utils.set_random_seed(settings.seed)
    model = build(settings.model, len(splits.data.classes))
    fit, start = settings.fit, Start(model, weights_digest(settings.model.weights))
    with Trainer(start, splits, settings, run) as trainer:
        trainer.phase("warmup", head_layers(model), fit.warmup)
        behind = layers_after(model, settings.model.freeze)
        trainer.phase("finetune", behind, fit.finetune, fit.schedule, fit.patience)
    return trainer.best()
