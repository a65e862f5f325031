"""The one evaluation on test, the report and the two models."""

from omegaconf import DictConfig

from train.common.evaluate import evaluate
from train.common.publish import publish
from train.common.run import log_report
from train.common.values import Fitted, Report, Splits


def metrics(fitted: Fitted, splits: Splits, config: DictConfig) -> Report:
    """Evaluate the best epoch on test, log the report, then export and register the models."""
    report = evaluate(fitted, splits, config)
    log_report(report, config)
    publish(fitted, splits, config)
    return report
