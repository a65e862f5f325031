"""The pictures of a report: matplotlib figures, drawn without a display."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.calibration import calibration_curve
from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay, confusion_matrix

COLUMNS = 6
BINS = 10


def curves(history: pd.DataFrame, best_epoch: int) -> Figure:
    """Loss and accuracy by epoch, training against validation, with the chosen epoch marked."""
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


def confusion(labels: np.ndarray, answers: np.ndarray, classes: tuple[str, ...]) -> Figure:
    """Counts, and shares of each true class."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    numbers = np.arange(len(classes))
    for axes, normalize, form in zip(
        figure.subplots(1, 2), (None, "true"), ("d", ".2f"), strict=True
    ):
        matrix = confusion_matrix(labels, answers, labels=numbers, normalize=normalize)
        display = ConfusionMatrixDisplay(matrix, display_labels=classes)
        display.plot(ax=axes, cmap="Blues", values_format=form, xticks_rotation=20, colorbar=False)
        axes.set_title("images" if normalize is None else "share of the true class (recall)")
    return figure


def roc(labels: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]) -> Figure:
    """One curve per class against the rest."""
    figure = Figure(figsize=(5.4, 4.8), layout="constrained")
    axes = figure.subplots()
    for k, name in enumerate(classes):
        RocCurveDisplay.from_predictions(labels == k, probabilities[:, k], name=name, ax=axes)
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    axes.set(xlabel="false positive rate", ylabel="true positive rate (recall)")
    return figure


def reliability(labels: np.ndarray, probabilities: np.ndarray) -> Figure:
    """How often an answer is right, by the probability it was given with."""
    figure = Figure(figsize=(5.4, 4.8), layout="constrained")
    axes = figure.subplots()
    right = probabilities.argmax(axis=1) == labels
    share, given = calibration_curve(right, probabilities.max(axis=1), n_bins=BINS)
    axes.plot(given, share, marker="o", label="this model")
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfect")
    axes.set(xlabel="probability of the answer", ylabel="share of right answers")
    axes.legend()
    return figure


def mistakes(
    pixels: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    files: list[str],
    classes: tuple[str, ...],
    count: int,
) -> Figure:
    """The wrong answers given with the highest probability, as pictures (N, S, S, 3) uint8."""
    answers, given = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(answers != labels)
    worst = wrong[np.argsort(-given[wrong])][:count]
    rows = max(1, -(-len(worst) // COLUMNS))
    figure = Figure(figsize=(2.1 * COLUMNS, 2.7 * rows), layout="constrained")
    grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, row in zip(grid, worst, strict=False):
        axes.imshow(pixels[row])
        true, said = classes[labels[row]], classes[answers[row]]
        axes.set_title(f"{said} {given[row]:.2f}\nis {true}\n{files[row][-24:]}", fontsize=7)
    if not len(worst):
        grid[0].set_title("no wrong answer on test", loc="left")
    return figure
