"""The one evaluation on test, the cross-validation, the report and the model."""

from omegaconf import DictConfig

from train.common.run import log_report
from train.common.table_evaluate import evaluate_table
from train.common.table_publish import publish_table
from train.common.values import Report, TableFitted, TableSplits


def metrics(fitted: TableFitted, splits: TableSplits, config: DictConfig) -> Report:
    """Evaluate the chosen pipeline, log the report, then store and register the model."""
    report = evaluate_table(fitted, splits, config)
    log_report(report, config)
    publish_table(fitted, splits, config)
    return report
