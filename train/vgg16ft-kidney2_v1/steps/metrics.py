"""The one evaluation on test, the report and the two models."""

from omegaconf import DictConfig

from train.common.data.types import Fitted, Report, Splits
from train.common.evaluation.images import evaluate
from train.common.export.images import publish
from train.common.tracking.log import log_report


def metrics(fitted: Fitted, splits: Splits, config: DictConfig) -> Report:
    """Evaluate the best epoch on test, log the report, then export and register the models."""
    report = evaluate(fitted, splits, config)
    log_report(report, config)
    publish(fitted, splits, config)
    return report
