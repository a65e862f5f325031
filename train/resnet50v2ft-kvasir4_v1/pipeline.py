"""ResNet50V2 fine-tuned on kvasir4, first version.

python -m train +pipeline=train_resnet50v2ft env=development
"""

from omegaconf import DictConfig

from conf.schema import ImageTraining, typed
from train.common.cross_validation import CrossValidation, cross_validate
from train.common.data.types import TrainedModel
from train.common.export.images import export
from train.common.fitting.calibrate import calibrate
from train.common.gate import gate, with_gate
from train.common.sweep import sweep
from train.common.tracking.log import tracked_run
from train.common.tracking.origin import pinned
from train.common.tracking.trials import Watch
from train.common.trial import validate

from .steps.ingest import ingest
from .steps.metrics import judge, metrics
from .steps.split import split
from .steps.train import fit
from .steps.transform import transform


def train(config: DictConfig) -> TrainedModel | CrossValidation:
    """Warm up the head, fine-tune the last 13 convolutions, evaluate once on test."""
    settings = pinned(typed(config, ImageTraining))
    if settings.sweep:
        settings = sweep(train_once, settings)
    if settings.split.folds and settings.split.fold is None:
        return cross_validate(train_once, judge, settings)
    return train_once(settings)


def train_once(settings: ImageTraining, watch: Watch | None = None) -> TrainedModel:
    """Train one model in its own MLflow run; `watch` hears of each epoch of a sweep's trial."""
    with tracked_run(settings, watch) as run:
        images = run.step(ingest, settings, run)
        pixels = run.step(transform, images, settings)
        splits = run.step(split, pixels, settings, run)
        checked = run.step(gate, splits, settings, run)
        trained = run.step(fit, splits, settings, run)
        if settings.sweep:  # a trial: nothing looks at test
            return run.step(validate, trained, splits, settings)
        trained = run.step(calibrate, trained, splits, settings)
        report = run.step(metrics, trained, splits, settings)
        run.log_report(with_gate(report, checked))
        run.step(export, trained, splits, settings)
    return trained
