"""Warm-up and fine-tuning."""

from conf.schema import ImageTraining
from models.common import head_layers, layers_after
from models.resnet50v2ft.model import build
from train.common.data.types import DecodedImages, Splits, TrainedModel
from train.common.fitting.start import initial_model
from train.common.fitting.trainer import Trainer
from train.common.tracking.log import Run


def fit(splits: Splits[DecodedImages], settings: ImageTraining, run: Run) -> TrainedModel:
    """The model at its best epoch on validation; resumes where a killed run stopped."""
    start = initial_model(build, splits, settings, run)
    fit, behind = settings.fit, layers_after(start.model, settings.model.freeze)
    with Trainer(start, splits, settings, run) as trainer:
        trainer.phase("warmup", head_layers(start.model), fit.warmup)
        trainer.phase("finetune", behind, fit.finetune, fit.schedule, fit.patience)
    return trainer.best()
