"""The metrics step for image classifiers: the one look at the test images."""

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from train.common import classification, figures
from train.common.fit import batches
from train.common.values import Fitted, Report, Splits


def evaluate(fitted: Fitted, splits: Splits, config: DictConfig) -> Report:
    """Predict the test images once, with the best epoch's model, and say how well it did."""
    samples, rows = splits.samples, splits.test
    labels = splits.labels(rows)
    probabilities = fitted.model.predict(
        batches(splits, rows, config.fit.batch_size, None), verbose=0
    )
    table = samples.table.iloc[rows]
    metrics = classification.intervals(
        labels,
        probabilities,
        table["cluster"].to_numpy(),
        samples.classes,
        config.metrics.bootstrap,
        config.metrics.confidence,
        config.seed,
    )
    scalars: dict[str, float] = {}
    for name, (value, low, high) in metrics.iterrows():
        scalars |= {f"test_{name}": value, f"test_{name}_low": low, f"test_{name}_high": high}
    answers = probabilities.argmax(axis=1)
    files = table["file"].tolist()
    predictions = pd.DataFrame(probabilities, columns=list(samples.classes)).assign(
        file=files,
        label=np.array(samples.classes)[labels],
        answer=np.array(samples.classes)[answers],
    )
    per_class = classification.per_class(metrics, labels, samples.classes)
    overall = metrics.loc[
        ["accuracy", "mcc", "f1_macro", "recall_macro", "roc_auc_macro", "log_loss"]
    ]
    return Report(
        scalars={name: float(value) for name, value in scalars.items() if np.isfinite(value)},
        tables={
            "overall": overall.rename_axis("metric").reset_index(),
            "per_class": per_class,
            "history": fitted.history,
            "predictions": predictions,
        },
        figures={
            "curves": figures.curves(fitted.history, fitted.best_epoch),
            "confusion_matrix": figures.confusion(labels, answers, samples.classes),
            "roc": figures.roc(labels, probabilities, samples.classes),
            "reliability": figures.reliability(labels, probabilities),
            "worst_mistakes": figures.mistakes(
                samples.load()[rows],
                labels,
                probabilities,
                files,
                samples.classes,
                config.metrics.worst,
            ),
        },
        notes=classification.caveats(labels, samples.classes, splits.crossing),
        facts={
            "data": f"{samples.name}, {config.dataset.source.name}",
            "data digest": samples.digest[:16],
            "images": f"{len(splits.train)} train, {len(splits.validation)} validation, "
            f"{len(rows)} test",
            "quarantined": len(samples.quarantined),
            "split by": config.split.by.name,
            "backbone weights": config.model.weights,
            "best epoch": f"{fitted.best_epoch} of {len(fitted.history)}, by "
            f"{config.fit.monitor.name}",
            "intervals": f"{config.metrics.confidence:.0%}, {config.metrics.bootstrap} bootstrap "
            "resamples of near-duplicate clusters",
        },
    )
