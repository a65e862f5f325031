"""Warm-up and fine-tuning."""

from conf.schema import ImageTraining
from models.common import head_layers, layers_after
from models.efficientnetliteft.model import build
from train.common.data.types import DecodedImages, Splits, TrainedModel
from train.common.fitting.start import initial_model
from train.common.fitting.trainer import Trainer
from train.common.tracking.log import Run


def fit(splits: Splits[DecodedImages], settings: ImageTraining, run: Run) -> TrainedModel:
    """The model at its best epoch on validation; a killed run is resumed."""
    start = initial_model(build, splits, settings, run)
    model, phases = start.model, settings.fit
    with Trainer(start, splits, settings, run) as trainer:
        trainer.phase("warmup", head_layers(model), phases.warmup)
        behind = layers_after(model, settings.model.freeze)
        trainer.phase("finetune", behind, phases.finetune, phases.schedule, phases.patience)
    return trainer.best()
