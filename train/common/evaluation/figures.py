"""Figures of a report, drawn by matplotlib without a display."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    PrecisionRecallDisplay,
    RocCurveDisplay,
    confusion_matrix,
)

COLUMNS = 6
BINS = 10

Plot = Callable[[np.ndarray, np.ndarray, tuple[str, ...]], Figure]
"""Makes a figure from labels (N,), probabilities (N, classes) and the names of the classes."""


def curves(history: pd.DataFrame, best_epoch: int) -> Figure:
    """Loss and accuracy of training and validation by epoch; the chosen epoch is marked."""
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    border = int((history["phase"] == "warmup").sum())
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        axes.plot(history["epoch"], history[name], marker="o", label="train")
        axes.plot(history["epoch"], history[f"val_{name}"], marker="o", label="validation")
        axes.axvline(best_epoch, color="grey", linestyle=":", label="chosen epoch")
        if 0 < border < len(history):
            axes.axvspan(0.5, border + 0.5, color="grey", alpha=0.12, label="warm-up")
        axes.set(xlabel="epoch", ylabel=name, xlim=(0.5, len(history) + 0.5))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
    return figure


def histories(by_run: Mapping[str, pd.DataFrame]) -> Figure:
    """Validation loss and accuracy by epoch, one line per run."""
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for run, history in by_run.items():
            axes.plot(history["epoch"], history[f"val_{name}"], marker="o", label=run)
        axes.set(xlabel="epoch", ylabel=f"validation {name}")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
    return figure


def confusion(labels: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]) -> Figure:
    """Confusion matrices: counts, and shares of each true class."""
    answers = probabilities.argmax(axis=1)
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    numbers = np.arange(len(classes))
    for axes, normalize, form in zip(
        figure.subplots(1, 2), (None, "true"), ("d", ".2f"), strict=True
    ):
        matrix = confusion_matrix(labels, answers, labels=numbers, normalize=normalize)
        display = ConfusionMatrixDisplay(matrix, display_labels=classes)
        display.plot(ax=axes, cmap="Blues", values_format=form, xticks_rotation=20, colorbar=False)
        axes.set_title("counts" if normalize is None else "share of the true class (recall)")
    return figure


def roc(labels: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]) -> Figure:
    """One curve per class against the rest, if both are in `labels`."""
    figure = Figure(figsize=(5.4, 4.8), layout="constrained")
    axes = figure.subplots()
    for k, name in enumerate(classes):
        if not 0 < (labels == k).sum() < len(labels):
            continue
        RocCurveDisplay.from_predictions(labels == k, probabilities[:, k], name=name, ax=axes)
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    axes.set(xlabel="false positive rate", ylabel="true positive rate (recall)")
    return figure


def reliability(labels: np.ndarray, probabilities: np.ndarray, _classes: tuple[str, ...]) -> Figure:
    """Share of right predictions against the probability of the predicted class."""
    figure = Figure(figsize=(5.4, 4.8), layout="constrained")
    axes = figure.subplots()
    right = probabilities.argmax(axis=1) == labels
    share, given = calibration_curve(right, probabilities.max(axis=1), n_bins=BINS)
    axes.plot(given, share, marker="o", label="this model")
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfect")
    axes.set(xlabel="probability of the predicted class", ylabel="share of right predictions")
    axes.legend()
    return figure


def precision_recall(
    labels: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]
) -> Figure:
    """One curve per class against the rest; a dotted line shows the share of the class (chance)."""
    figure = Figure(figsize=(5.4, 4.8), layout="constrained")
    axes = figure.subplots()
    for k, name in enumerate(classes):
        display = PrecisionRecallDisplay.from_predictions(
            labels == k, probabilities[:, k], name=name, ax=axes
        )
        axes.axhline(np.mean(labels == k), color=display.line_.get_color(), linestyle=":")
    axes.set(xlabel="recall", ylabel="precision")
    return figure


def calibration(labels: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]) -> Figure:
    """Share of the last class against its probability in bins of equal size, and a histogram."""
    figure = Figure(figsize=(5.4, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    actual, given = labels == len(classes) - 1, probabilities[:, -1]
    share, mean = calibration_curve(actual, given, n_bins=BINS, strategy="quantile")
    above.plot(mean, share, marker="o", label="this model")
    above.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfect")
    above.set(ylabel=f"share that is {classes[-1]}")
    above.legend()
    below.hist(given, bins=np.linspace(0, 1, 2 * BINS + 1), color="grey")
    below.set(xlabel=f"probability of {classes[-1]}", ylabel="rows")
    return figure


def importance(table: pd.DataFrame) -> Figure:
    """One bar per feature with its spread; columns of `table`: feature, importance, spread."""
    figure = Figure(figsize=(7, 1 + 0.35 * len(table)), layout="constrained")
    axes = figure.subplots()
    axes.barh(table["feature"], table["importance"], xerr=table["spread"], color="#3b7ea1")
    axes.invert_yaxis()
    axes.set(xlabel="loss of ROC AUC when shuffled")
    return figure


def estimators(table: pd.DataFrame, metrics: Mapping[str, str]) -> Figure:
    """One panel per metric of `metrics` (name to title), one point with interval per estimator.

    `table` has one row per estimator, by name, and columns (metric, value | low | high).
    """
    figure = Figure(figsize=(4.6 * len(metrics), 1.2 + 0.4 * len(table)), layout="constrained")
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axes, (name, title) in zip(panels, metrics.items(), strict=True):
        value, low, high = (table[name][end].to_numpy() for end in ("value", "low", "high"))
        ends = np.clip(
            [value - low, high - value], 0, None
        )  # a skewed bootstrap may miss its value
        axes.errorbar(value, table.index, xerr=ends, fmt="o", color="#3b7ea1", capsize=3)
        axes.set(xlabel=title)
        axes.grid(axis="x", alpha=0.3)
    panels[0].invert_yaxis()
    return figure


def mistakes(
    pixels: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    files: list[str],
    classes: tuple[str, ...],
    count: int,
) -> Figure:
    """The wrong predictions with the highest probability; `pixels` are (N, S, S, 3) uint8."""
    answers, given = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(answers != labels)
    worst = wrong[np.argsort(-given[wrong])][:count]
    named = titles(labels[worst], probabilities[worst], classes, [files[row] for row in worst])
    return gallery([pixels[row] for row in worst], named, "no wrong prediction on test")


def titles(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: tuple[str, ...],
    files: Sequence[str] | None = None,
) -> list[str]:
    """The prediction of each image and its probability, its class, and the end of its file name."""
    answers, given = probabilities.argmax(axis=1), probabilities.max(axis=1)
    said = [
        f"{classes[answer]} {sure:.2f}\nis {classes[label]}"
        for answer, sure, label in zip(answers, given, labels, strict=True)
    ]
    return said if files is None else [f"{s}\n{f[-24:]}" for s, f in zip(said, files, strict=True)]


def grad_cams(pixels: np.ndarray, cams: np.ndarray, titles: Sequence[str]) -> Figure:
    """Each of the images (N, S, S, 3) uint8, and its map of `cams` (N, h, w) over it."""
    pairs = [(image, overlay(image, cam)) for image, cam in zip(pixels, cams, strict=True)]
    shown = [picture for pair in pairs for picture in pair]
    under = [title for name in titles for title in (name, "Grad-CAM")]
    return gallery(shown, under, "no image")


def overlay(image: np.ndarray, cam: np.ndarray) -> np.ndarray:
    """`cam` (h, w), relative to its largest value, laid over uint8 (H, W, 3)."""
    heat = Image.fromarray((cam / (cam.max() or 1)).astype(np.float32))
    size = (image.shape[1], image.shape[0])
    strength = np.clip(np.asarray(heat.resize(size, Image.Resampling.BICUBIC)), 0, 1)
    colour = colormaps["viridis"](strength)[..., :3] * 255
    share = 0.65 * strength[..., None]
    return (image * (1 - share) + colour * share).astype(np.uint8)


def gallery(pictures: Sequence[np.ndarray], titles: Sequence[str], empty: str) -> Figure:
    """A grid of pictures uint8 (H, W, 3) with titles; the text `empty` if there is no picture."""
    rows = max(1, -(-len(pictures) // COLUMNS))
    figure = Figure(figsize=(2.1 * COLUMNS, 2.7 * rows), layout="constrained")
    grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, picture, title in zip(grid, pictures, titles, strict=False):
        axes.imshow(picture)
        axes.set_title(title, fontsize=7)
    if not len(pictures):
        grid[0].set_title(empty, loc="left")
    return figure
