"""Warm-up and fine-tuning."""

from omegaconf import DictConfig

from models.{{cookiecutter.model}}.model import build
from train.common.fitting.trainer import fine_tune
from train.common.tracking.log import log_epoch, log_resumed, run_id
from train.common.data.types import Fitted, Splits


def fit(splits: Splits, config: DictConfig) -> Fitted:
    """The model at its best epoch on validation; resumes where a killed run stopped."""
    return fine_tune(splits, config, build, log_epoch, log_resumed, run_id())
