"""The evaluation of the test images: which metrics and figures are published."""

from conf.schema import ImageTraining
from train.common.data.types import DecodedImages, Predictions, Report, Splits, TrainedModel
from train.common.evaluation import figures
from train.common.evaluation.images import evaluate, with_training
from train.common.evaluation.metrics import Metric
from train.common.fitting.inputs import predict

SHOWN = ("accuracy", "mcc", "f1_macro", "recall_macro", "roc_auc_macro", "log_loss")
"""Metrics at the top of the report. The run logs all of `evaluation.metrics.scores`."""
METRICS: dict[str, Metric] = {}
"""More metrics by name, each a function of labels (N,) and probabilities (N, classes)."""
FIGURES = {
    "confusion_matrix": figures.confusion,
    "roc": figures.roc,
    "reliability": figures.reliability,
}


def metrics(
    trained: TrainedModel, splits: Splits[DecodedImages], settings: ImageTraining
) -> Report:
    """Predict the test images once, with the model of the best epoch."""
    predictions = predict(trained, splits, splits.test)
    report = judge(predictions, settings)
    return with_training(report, predictions, trained, splits, settings)


def judge(predictions: Predictions, settings: ImageTraining) -> Report:
    """The report on predictions of one model, or of all folds together."""
    return evaluate(predictions, settings, SHOWN, FIGURES, METRICS)
