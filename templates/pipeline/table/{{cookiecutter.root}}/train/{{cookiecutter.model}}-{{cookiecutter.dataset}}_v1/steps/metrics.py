"""The evaluation on test and the cross-validation: which metrics and figures are published."""

from conf.schema import TableTraining
from datasets.common.tables import Table
from train.common.data.types import Report, Splits, TrainedPipeline
from train.common.evaluation import figures
from train.common.evaluation.metrics import Metric
from train.common.evaluation.tables import evaluate
from train.common.fitting.search import cross_validated

SHOWN = ("roc_auc_macro", "average_precision_macro", "brier", "log_loss", "accuracy", "mcc")
"""Metrics at the top of the report. The run logs all of `evaluation.metrics.scores`."""
METRICS: dict[str, Metric] = {}
"""More metrics by name, each a function of labels (N,) and probabilities (N, classes)."""
FIGURES = {
    "roc": figures.roc,
    "precision_and_recall": figures.precision_recall,
    "reliability": figures.calibration,
    "confusion_matrix": figures.confusion,
}


def metrics(trained: TrainedPipeline, splits: Splits[Table], settings: TableTraining) -> Report:
    """Predict test once with the chosen pipeline; cross-validate the searches beside it."""
    folds = settings.metrics.folds
    compared = cross_validated(trained, splits, folds, settings.seed) if folds else None
    return evaluate(trained, splits, settings, compared, SHOWN, FIGURES, METRICS)
