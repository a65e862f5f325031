"""Figures of studies, drawn by matplotlib without a display."""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure

from train.common.evaluation.figures import COLUMNS, gallery

HEIGHT = 0.42
"""Height of a bar or a row in inches."""


def balance(counts: pd.DataFrame) -> Figure:
    """Images of each class by split, from the table of `train.jobs.common.counts`."""
    figure = Figure(figsize=(8, 1.2 + HEIGHT * len(counts)), layout="constrained")
    axes = figure.subplots()
    left = np.zeros(len(counts))
    for name in counts.columns.intersection(["train", "validation", "test", "no split"]):
        bars = axes.barh(counts["class"], counts[name], left=left, label=name)
        left += counts[name].to_numpy()
    axes.bar_label(bars, [f" {count}" for count in counts["images"]])
    axes.set(xlabel="images", xlim=(0, 1.12 * counts["images"].max()))
    axes.invert_yaxis()
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def bars(counted: pd.DataFrame, name: str, value: str) -> Figure:
    """One bar for each row of `counted`: its column `value`, labelled by its column `name`."""
    figure = Figure(figsize=(8, 1.2 + HEIGHT * len(counted)), layout="constrained")
    axes = figure.subplots()
    axes.bar_label(axes.barh(counted[name], counted[value]), padding=3)
    axes.set(xlabel=value, xlim=(0, 1.12 * max(1, counted[value].max())))
    axes.invert_yaxis()
    return figure


def probes(
    table: pd.DataFrame,
    chance: float,
    measure: str = "accuracy",
    without: str = "always the largest class",
) -> Figure:
    """`measure` of each probe with its interval; columns probe, validated, value, low, high."""
    names = list(dict.fromkeys(table["probe"]))
    figure = Figure(figsize=(9, 1.4 + HEIGHT * len(names)), layout="constrained")
    axes = figure.subplots()
    for shift, (kind, rows) in zip((-0.13, 0.13), table.groupby("validated"), strict=False):
        heights = np.array([names.index(name) for name in rows["probe"]]) + shift
        # With few groups, the value may lie outside of its percentile interval.
        spread = np.maximum([rows["value"] - rows["low"], rows["high"] - rows["value"]], 0)
        axes.errorbar(rows["value"], heights, xerr=spread, fmt="o", capsize=4, label=kind)
    axes.axvline(chance, color="grey", linestyle=":", label=without)
    axes.set(xlabel=measure, xlim=(0, 1.02), yticks=range(len(names)), yticklabels=names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def sizes(table: pd.DataFrame, classes: tuple[str, ...]) -> Figure:
    """Width against height; one circle per size, its area is the number of images."""
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.subplots()
    for label, name in enumerate(classes):
        found = table[table["label"] == label].value_counts(["width", "height"]).reset_index()
        area = 20 + 600 * found["count"] / len(table)
        axes.scatter(found["width"], found["height"], s=area, alpha=0.5, label=name)
    axes.set(xlabel="width in pixels", ylabel="height in pixels")
    axes.legend(markerscale=0.6)
    return figure


def answers(counted: pd.DataFrame, given: np.ndarray) -> Figure:
    """Number of predictions of each class, and the histogram `given` of their probabilities."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    bars = left.barh(counted["answer"], counted["rows"])
    left.bar_label(bars, padding=3)
    left.set(xlabel="rows", xlim=(0, 1.15 * max(1, counted["rows"].max())))
    left.invert_yaxis()
    right.stairs(given, np.linspace(0, 1, len(given) + 1), fill=True)
    right.set(xlabel="probability of the predicted class", ylabel="rows")
    return figure


def activations(image: np.ndarray, answers: dict[str, np.ndarray]) -> Figure:
    """One row per layer: the image uint8 (H, W, 3), and the channels (h, w) that vary most."""
    shown, titles = [], []
    for name, answer in answers.items():
        spread = answer.std(axis=(0, 1))
        shown.append(image)
        titles.append(f"{name}\n{answer.shape[0]} x {answer.shape[1]}, {answer.shape[2]} channels")
        for channel in np.argsort(-spread)[: COLUMNS - 1]:
            values = answer[..., channel] - answer[..., channel].min()
            shown.append(
                (colormaps["viridis"](values / (values.max() or 1)) * 255).astype(np.uint8)
            )
            titles.append(f"channel {channel}")
    return gallery(shown, titles, "no layer with an area")


def embedding(
    points: np.ndarray, labels: np.ndarray, answers: np.ndarray, classes: tuple[str, ...]
) -> Figure:
    """Points (N, 2) in the colour of their class; a ring marks wrong predictions."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    for label, name in enumerate(classes):
        chosen = labels == label
        axes.scatter(points[chosen, 0], points[chosen, 1], s=18, alpha=0.7, label=name)
    wrong = answers != labels
    axes.scatter(
        points[wrong, 0], points[wrong, 1], s=60, facecolors="none", edgecolors="black",
        linewidth=0.8, label="wrong prediction",
    )  # fmt: skip
    axes.set(xticks=[], yticks=[])
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def learning(table: pd.DataFrame) -> Figure:
    """Accuracy with its interval against the number of images, of `evaluation.learning.curve`."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    # The mean of a few clusters may lie outside of its percentile interval.
    spread = np.maximum([table["value"] - table["low"], table["high"] - table["value"]], 0)
    axes.errorbar(table["images"], table["value"], yerr=spread, marker="o", capsize=4)
    axes.set(xscale="log", xlabel="training images", ylabel="accuracy on validation")
    axes.set_xticks(table["images"], [f"{count:,}" for count in table["images"]])
    axes.minorticks_off()
    return figure
