"""The end of a trial of a sweep: what it reached on validation images. It sees no test image."""

from conf.schema import ImageTraining
from train.common.data.types import DecodedImages, Splits, TrainedModel
from train.common.tracking.trials import log_trial

COLUMNS = ["file", "label", "cluster"]


def validate(
    trained: TrainedModel, splits: Splits[DecodedImages], settings: ImageTraining
) -> TrainedModel:
    """Log the best epoch and its predictions of validation images; the checkpoints stay."""
    assert trained.validate is not None
    rows = splits.validation
    table = splits.data.frame.iloc[rows][COLUMNS].reset_index(drop=True)
    table[list(splits.data.classes)] = trained.validate()
    log_trial({f"best_{settings.fit.monitor.name}": value(trained, settings)}, table)
    trained.clean_up()
    return trained


def value(trained: TrainedModel, settings: ImageTraining) -> float:
    """The monitored metric of the best epoch, `fit.monitor`."""
    return float(trained.history[settings.fit.monitor.name].iloc[trained.best_epoch - 1])
