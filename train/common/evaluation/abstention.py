"""Calibration and abstention in the report of a training, both of test images."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from conf.schema import ImageTraining
from datasets.common.images import NOT_SURE, UNLIKE, Verdict, verdicts
from train.common.data.types import Predictions, Report, TrainedModel
from train.common.evaluation import calibration, words

STRANGE = 0.2
"""The report warns of a class if a larger share of it is refused as unlike the training images."""
COLUMNS = ("abstained_because", "set", "unlikeness")
"""Columns of a table of predictions that hold the verdicts."""
CAPTIONS = {
    "calibration": "Before and after the temperature, which was fitted on validation images. Each "
    "point has a tenth of the test images.",
    "calibration_errors": "ECE is the mean gap between probability and share of right predictions, "
    "in bins of equal width, adaptive in bins of equally many images; the Brier score is the "
    "squared error, summed over the classes. 0 is the best of each.",
    "abstention": "Shares of the test images of each class. An image is refused if it is unlike "
    "the training images, else if the model is not sure: if its prediction set has not exactly one "
    "class. Covered: the set has the true class. Accuracy is that of the predictions not refused.",
    "risk_coverage": "Share of wrong predictions among the images that are predicted, if the least "
    "certain ones are refused. The point is this model with its thresholds.",
}


def with_trust(
    report: Report, predictions: Predictions, trained: TrainedModel, settings: ImageTraining
) -> Report:
    """`report` with calibration before and after, and with the cost of abstention."""
    labels, after = predictions.labels, predictions.probabilities
    before = calibration.tempered(after, 1 / trained.temperature)
    versions = {"before": before, "after": after}
    groups = predictions.frame["cluster"].to_numpy()
    errors = calibration.compared(labels, versions, groups, settings.metrics, settings.seed)
    scalars = {"temperature": trained.temperature} | {
        f"test_{measure}_{version}{end}": float(value)
        for (version, measure), row in errors.iterrows()
        for end, value in zip(("", "_low", "_high"), row, strict=True)
    }
    report = replace(
        report,
        scalars=report.scalars | scalars,
        tables=report.tables | {"calibration_errors": errors.reset_index()},
        figures=report.figures | {"calibration": calibration.diagram(labels, versions)},
        facts=report.facts | {"temperature": f"{trained.temperature:.3f}"},
        captions=report.captions | CAPTIONS,
    )
    if trained.thresholds is None:
        return report
    found = verdicts(trained.thresholds, predictions.classes, after, predictions.unlikeness)
    return with_abstention(report, predictions, found, settings)


def with_abstention(
    report: Report, predictions: Predictions, found: list[Verdict], settings: ImageTraining
) -> Report:
    """`report` with the cost of abstention, of the verdict `found` on each image."""
    titles = tuple(words.titles(settings.dataset).values())
    table = costs(predictions, found, titles)
    curve = risk_coverage(predictions.labels, predictions.probabilities, found)
    return replace(
        report,
        scalars=report.scalars | _flat(table, predictions.classes),
        tables=report.tables
        | {
            "abstention": table,
            "predictions": report.tables["predictions"].assign(**_columns(predictions, found)),
        },
        figures=report.figures | {"risk_coverage": curve},
        captions=report.captions | CAPTIONS,
        notes=[*report.notes, *_strange(table)],
        summary=[*report.summary, _sentence(table)],
    )


def costs(predictions: Predictions, found: list[Verdict], titles: tuple[str, ...]) -> pd.DataFrame:
    """One row per class, and one of all: shares refused by reason, coverage, set size, accuracy."""
    labels = predictions.labels
    frame = pd.DataFrame(
        {
            "unlike training": [each.reason == UNLIKE for each in found],
            "not sure": [each.reason == NOT_SURE for each in found],
            "refused": [bool(each.abstained) for each in found],
        }
    )
    if any(each.set is not None for each in found):
        own = np.array(predictions.classes)[labels]
        sets = [each.set or [] for each in found]
        frame["covered"] = [name in inside for name, inside in zip(own, sets, strict=True)]
        frame["set size"] = [len(inside) for inside in sets]
    right = predictions.probabilities.argmax(axis=1) == labels
    frame["accuracy"] = np.where(frame["refused"], np.nan, right)
    rows = [(labels == k, title) for k, title in enumerate(titles)]
    rows.append((np.ones(len(labels), bool), "all"))
    return pd.DataFrame(
        [
            {"class": title, "images": int(chosen.sum())} | frame[chosen].mean().to_dict()
            for chosen, title in rows
        ]
    )


def risk_coverage(labels: np.ndarray, probabilities: np.ndarray, found: list[Verdict]) -> Figure:
    """Share of wrong predictions against the share predicted, the most certain ones first."""
    wrong = probabilities.argmax(axis=1) != labels
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    count = np.arange(1, len(labels) + 1)
    kept = np.array([not each.abstained for each in found])
    figure = Figure(figsize=(5.4, 4.8), layout="constrained")
    axes = figure.subplots()
    axes.plot(count / len(labels), np.cumsum(wrong[order]) / count, label="by probability")
    if kept.any():
        axes.plot(kept.mean(), wrong[kept].mean(), "o", color="black", label="this model")
    axes.set(
        xlabel="share of images predicted (coverage)",
        ylabel="share of wrong predictions (risk)",
        xlim=(0, 1.02),
    )
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure


def _flat(table: pd.DataFrame, classes: tuple[str, ...]) -> dict[str, float]:
    """The finite numbers of `costs` by name, those of all images without the name of a class."""
    flat = {}
    for ending, (_, row) in zip((*(f"_{c}" for c in classes), ""), table.iterrows(), strict=True):
        for name, value in row.drop(["class", "images"]).items():
            flat[f"test_abstention_{str(name).replace(' ', '_')}{ending}"] = float(value)
    return {name: value for name, value in flat.items() if np.isfinite(value)}


def _columns(predictions: Predictions, found: list[Verdict]) -> dict[str, Any]:
    """The columns of the verdict in the table of predictions."""
    columns: dict[str, Any] = {
        "abstained_because": [each.reason for each in found],
        "set": ["|".join(each.set or ()) for each in found],
    }
    if predictions.unlikeness is not None:
        columns["unlikeness"] = predictions.unlikeness
    return columns


def recorded(table: pd.DataFrame) -> list[Verdict] | None:
    """The verdicts that the table of predictions of a run holds; None if it holds none."""
    if not {"abstained_because", "set"} <= set(table.columns):
        return None
    reasons, sets = (table[name].astype(object).fillna("") for name in COLUMNS[:2])
    judged = bool((sets != "").any())
    return [
        Verdict(bool(why), why or None, inside.split("|") if inside else [] if judged else None)
        for why, inside in zip(reasons, sets, strict=True)
    ]


def _strange(table: pd.DataFrame) -> list[str]:
    """A warning for each class that is often refused as unlike the training images."""
    return [
        f"{row['class']}: {words.percent(row['unlike training'])} of its {row['images']} test "
        "images are refused as unlike the training images. More training images of it would help; "
        "abstention.enabled=false trains a model that never abstains."
        for _, row in table.iloc[:-1].iterrows()
        if row["unlike training"] > STRANGE
    ]


def _sentence(table: pd.DataFrame) -> str:
    row = table.iloc[-1]
    said = (
        f"It abstains for {words.percent(row['refused'])} of the test images: "
        f"{words.percent(row['unlike training'])} as unlike the training images, "
        f"{words.percent(row['not sure'])} as it is not sure"
    )
    if np.isfinite(row["accuracy"]):
        said += f"; of the others, {words.percent(row['accuracy'])} are right"
    return f"{said}."
