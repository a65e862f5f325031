"""The one evaluation on test, the cross-validation, the report and the model."""

from omegaconf import DictConfig

from train.common.tracking.log import log_report
from train.common.evaluation.tables import evaluate_table
from train.common.export.tables import publish_table
from train.common.data.types import Report, TableFitted, TableSplits


def metrics(fitted: TableFitted, splits: TableSplits, config: DictConfig) -> Report:
    """Evaluate the chosen pipeline, log the report, then store and register the model."""
    report = evaluate_table(fitted, splits, config)
    log_report(report, config)
    publish_table(fitted, splits, config)
    return report
