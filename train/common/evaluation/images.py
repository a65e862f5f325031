"""The metrics step for image classifiers: the one look at the test images."""

from dataclasses import replace

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from conf.schema import SplitBy
from train.common.data.types import Fitted, Report, Splits
from train.common.evaluation import figures, metrics, words
from train.common.fitting.inputs import batches

SHOWN = ("accuracy", "mcc", "f1_macro", "recall_macro", "roc_auc_macro", "log_loss")
"""Metrics at the top of a report; all are in the run."""
LOOKED_AT = ("curves", "worst_mistakes")
"""Figures of one training that judging its answers does not draw."""
BATCH = 8
"""Images that go through the whole network together: 32 take 190 MB more, little less time."""


def answers(fitted: Fitted, splits: Splits) -> np.ndarray:
    """Probabilities (N, classes) of the test images, in the order of `splits.test`."""
    return fitted.model.predict(batches(splits, splits.test, BATCH, None), verbose=0)


def evaluate(fitted: Fitted, splits: Splits, config: DictConfig) -> Report:
    """Predict the test images once, with the best epoch's model, and say how well it did."""
    samples, rows = splits.samples, splits.test
    labels = splits.labels(rows)
    probabilities = answers(fitted, splits)
    table, titles = samples.table.iloc[rows], tuple(words.titles(config.dataset).values())
    report = judge(table, probabilities, samples.classes, config)
    worst = figures.mistakes(
        samples.load()[rows],
        labels,
        probabilities,
        table["file"].tolist(),
        titles,
        config.metrics.worst,
    )
    drawn = {
        "curves": figures.curves(fitted.history, fitted.best_epoch),
        **report.figures,
        "worst_mistakes": worst,
    }
    return replace(
        report,
        tables=report.tables | {"history": fitted.history},
        figures=drawn,
        notes=[
            *report.notes,
            *metrics.caveats(
                labels,
                titles,
                splits.crossing,
                accepted=config.split.by == SplitBy.official and config.split.allow_crossing,
            ),
            *fitted.notes,
        ],
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
            **report.facts,
        },
    )


def judge(
    table: pd.DataFrame, probabilities: np.ndarray, classes: tuple[str, ...], config: DictConfig
) -> Report:
    """Metrics with intervals, tables and figures of the answers `probabilities` (N, K).

    `table` has a row an image: file, label (a class number) and cluster.
    """
    labels, clusters = table["label"].to_numpy(dtype=np.int64), table["cluster"].to_numpy()
    titles = tuple(words.titles(config.dataset).values())
    scored = metrics.intervals(
        labels,
        probabilities,
        clusters,
        classes,
        config.metrics.bootstrap,
        config.metrics.confidence,
        config.seed,
    )
    scalars: dict[str, float] = {}
    for name, (value, low, high) in scored.iterrows():
        scalars |= {f"test_{name}": value, f"test_{name}_low": low, f"test_{name}_high": high}
    joined = config.split.folds and config.split.fold is None
    judged = words.Judged(
        labels,
        probabilities,
        scored,
        titles,
        groups=len(np.unique(clusters)),
        who=f"Each for one fold, {config.split.folds} models are" if joined else "The model is",
        confidence=config.metrics.confidence,
    )
    answers = judged.answers
    predictions = pd.DataFrame(probabilities, columns=list(classes)).assign(
        file=table["file"].tolist(),
        label=np.array(classes)[labels],
        answer=np.array(classes)[answers],
    )
    return Report(
        scalars={name: float(value) for name, value in scalars.items() if np.isfinite(value)},
        tables={
            "overall": scored.loc[list(SHOWN)].rename_axis("metric").reset_index(),
            "per_class": metrics.per_class(scored, labels, classes),
            "predictions": predictions,
        },
        figures={
            "confusion_matrix": figures.confusion(labels, answers, titles),
            "roc": figures.roc(labels, probabilities, titles),
            "reliability": figures.reliability(labels, probabilities),
        },
        facts={
            "intervals": f"{config.metrics.confidence:.0%}, {config.metrics.bootstrap} bootstrap "
            "resamples of near-duplicate clusters",
        },
        notes=[*words.drawn(config), *words.few_groups(judged.groups, judged.group)],
        summary=words.summary(judged),
        first=words.look_first(judged, LOOKED_AT if not joined else ()),
    )
