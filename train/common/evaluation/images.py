"""The report on an image classifier: metrics of its predictions, and its training."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from conf.schema import ImageTraining, SplitBy
from models import cover
from train.common.data.types import DecodedImages, Predictions, Report, Splits, TrainedModel
from train.common.evaluation import explain, figures, groups, metrics, operating, sources, words
from train.common.evaluation.abstention import with_trust

OF_TRAINING = ("curves", "worst_mistakes", "grad_cam")
"""The figures that `with_training` adds."""
SAME_MAP = 0.8
"""The report warns if maps of Grad-CAM correlate more with those of a random head."""

BY_GROUP = (
    "A group is a series or a patient, as the manifest or the DICOM files name it. Its prediction "
    "is the mean probability over its test images. The intervals resample whole groups, those that "
    "share near-duplicates together."
)


def evaluate(
    predictions: Predictions,
    settings: ImageTraining,
    shown: Sequence[str],
    drawn: Mapping[str, figures.Plot],
    also: Mapping[str, metrics.Metric] | None = None,
) -> Report:
    """Metrics with intervals, tables and figures of `predictions`, of one model or of all folds.

    The metrics `shown` are at the top of the report. All of `metrics.scores` are logged, and the
    metrics `also`, by their names; the metrics of groups are `test_group_<metric>`. `drawn` are the
    figures by name.
    """
    labels, probabilities, classes = (
        predictions.labels, predictions.probabilities, predictions.classes,
    )  # fmt: skip
    clusters = predictions.frame["cluster"].to_numpy()
    titles = tuple(words.titles(settings.dataset).values())
    scored = metrics.intervals(
        labels, probabilities, clusters, classes, settings.metrics, settings.seed, also
    )
    joined = settings.split.folds and settings.split.fold is None
    judged = words.Judged(
        labels,
        probabilities,
        scored,
        titles,
        groups=len(np.unique(clusters)),
        who=f"Each for one fold, {settings.split.folds} models are" if joined else "The model is",
        confidence=settings.metrics.confidence,
    )
    names = np.array(classes)
    found = groups.grouped(predictions, settings.metrics, settings.seed)
    shared = groups.beside(scored, found) if found and found.count else None
    places = sources.by_source(predictions, settings.metrics, settings.seed)
    more = {"by_group": (shared, BY_GROUP), "by_source": (places, sources.BY_SOURCE)}
    more = {name: (table, said) for name, (table, said) in more.items() if table is not None}
    return Report(
        scalars=metrics.flat(scored, "test")
        | (metrics.flat(found.metrics, "test_group") if found else {}),
        tables={
            "overall": scored.loc[list(shown)].rename_axis("metric").reset_index(),
            "per_class": metrics.per_class(scored, labels, classes),
            "predictions": pd.DataFrame(probabilities, columns=list(classes)).assign(
                file=predictions.frame["file"].tolist(),
                label=names[labels],
                answer=names[judged.answers],
            ),
            **{name: table for name, (table, _) in more.items()},
        },
        figures={name: plot(labels, probabilities, titles) for name, plot in drawn.items()},
        facts={
            "intervals": f"{settings.metrics.confidence:.0%}, {settings.metrics.bootstrap} "
            "bootstrap resamples of near-duplicate clusters",
        },
        notes=[
            *words.drawn(settings.dataset),
            *words.few_groups(judged.groups, judged.group),
            *sources.confounded(predictions.frame, titles),
        ],
        captions={name: said for name, (_, said) in more.items()},
        summary=[*words.summary(judged), *(words.of_groups(found) if found else [])],
        first=words.look_first(judged, OF_TRAINING if not joined else ()),
    )


def with_training(
    report: Report,
    predictions: Predictions,
    trained: TrainedModel,
    splits: Splits[DecodedImages],
    settings: ImageTraining,
) -> Report:
    """`report` with the training history, facts on the data, and the worst mistakes on test.

    And with calibration and abstention, by `abstention.with_trust`, operating points and Grad-CAM.
    """
    report = with_trust(report, predictions, trained, settings)
    report = operating.with_points(report, predictions, trained.operating, settings)
    report = with_grad_cam(report, predictions, trained, splits, settings)
    images, rows = splits.data, splits.test
    titles = tuple(words.titles(settings.dataset).values())
    worst = figures.mistakes(
        images.load()[rows],
        predictions.labels,
        predictions.probabilities,
        predictions.frame["file"].tolist(),
        titles,
        settings.metrics.worst,
    )
    official = settings.split.by == SplitBy.official
    return replace(
        report,
        tables=report.tables | {"history": trained.history},
        figures={
            "curves": figures.curves(trained.history, trained.best_epoch),
            **report.figures,
            "worst_mistakes": worst,
        },
        notes=[
            *report.notes,
            *metrics.caveats(
                predictions.labels,
                titles,
                splits.crossing,
                accepted=official and settings.split.allow_crossing,
            ),
            *trained.notes,
        ],
        facts={
            "data": f"{images.name}, {settings.dataset.source.name}",
            "data digest": images.digest[:16],
            "images": ", ".join(f"{len(part)} {name}" for name, part in splits.parts.items()),
            "quarantined": len(images.quarantined),
            "split by": settings.split.by.name,
            **cover.said(settings.transform),
            "backbone weights": settings.model.weights,
            "best epoch": f"{trained.best_epoch} of {len(trained.history)}, by "
            f"{settings.fit.monitor.name}",
            **report.facts,
        },
    )


def with_grad_cam(
    report: Report,
    predictions: Predictions,
    trained: TrainedModel,
    splits: Splits[DecodedImages],
    settings: ImageTraining,
) -> Report:
    """`report` with Grad-CAM of the surest wrong predictions, then of the surest right ones.

    The scalar `grad_cam_random_head` is the mean rank correlation with the maps of a random head.
    """
    chosen = explained(predictions, settings.metrics.grad_cam)
    if not len(chosen):
        return report
    probabilities = predictions.probabilities[chosen]
    targets = probabilities.argmax(axis=1)
    pixels = np.asarray(splits.data.load()[splits.test[chosen]])
    cams = explain.grad_cam(trained.model, pixels, targets)
    other = explain.with_random_head(trained.model, pixels, targets, settings.seed)
    same = explain.similarity(cams, other)
    names = tuple(words.titles(settings.dataset).values())
    titles = figures.titles(predictions.labels[chosen], probabilities, names)
    notes = []
    if same > SAME_MAP:
        notes.append(
            f"The maps of Grad-CAM hardly change with a random head (rank correlation {same:.2f}): "
            "they show edges of the images rather than what the model has learned."
        )
    return replace(
        report,
        scalars=report.scalars | {"grad_cam_random_head": same},
        figures=report.figures | {"grad_cam": figures.grad_cams(pixels, cams, titles)},
        captions=report.captions
        | {
            "grad_cam": "The region that each prediction depends on: the surest wrong predictions, "
            "then the surest right ones of each class. Sanity check: the maps of a network with a "
            f"random head have a rank correlation of {same:.2f} with these (1: the same maps)."
        },
        notes=[*report.notes, *notes],
    )


def explained(predictions: Predictions, count: int) -> np.ndarray:
    """Row numbers of the `count` surest wrong predictions, then of as many right ones, by class."""
    given, answers = predictions.probabilities.max(axis=1), predictions.probabilities.argmax(axis=1)
    order = np.argsort(-given, kind="stable")
    right = answers == predictions.labels
    each = -(-count // len(predictions.classes))
    sure = [order[right[order] & (answers[order] == k)][:each] for k in np.unique(answers)]
    return np.concatenate([order[~right[order]][:count], np.concatenate(sure)[:count]])
