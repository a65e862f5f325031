"""The report of a sweep: its trials, which settings matter, and the best one on validation."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from conf.schema import ImageTraining, Sweep
from train.common.data.types import Report
from train.common.evaluation import metrics, words

SHOWN = ("accuracy", "mcc", "f1_macro", "roc_auc_macro", "log_loss")
"""Metrics of the best trial, as names of `metrics.scores`."""
FEW = 10
"""With fewer finished trials, importances say little."""
FINISHED = "finished"


@dataclass(frozen=True)
class Swept:
    """The trials of a sweep that have ended."""

    trials: pd.DataFrame
    """One row per trial: trial, ended, value, last value, epochs, seconds, computed, reused, and a
    column for each of `params`."""
    params: list[str]
    """Names of the settings."""
    best: int
    """Number of the best trial."""
    importances: dict[str, float]
    """The share of each setting in the variance of the values; empty if it is not known."""
    validation: pd.DataFrame
    """Predictions of the best trial: file, label, cluster, and a column for each class.

    With several seeds or folds, those of all."""
    parts: int
    """Trainings of each trial: seeds times folds."""


def report(swept: Swept, settings: ImageTraining) -> Report:
    """Parallel coordinates, importances, history, and the best trial with intervals on validation.

    The intervals resample whole near-duplicate clusters; they do not know that the trial was chosen
    among others on the same images, and the report says so.
    """
    plan, monitor = settings.sweep, settings.fit.monitor.name
    assert plan is not None
    found, classes = swept.trials, tuple(settings.dataset.classes)
    best = found[found["trial"] == swept.best].iloc[0]
    ways = found["ended"].str.partition(",")[0].value_counts()
    judged = metrics.intervals(
        swept.validation["label"].to_numpy(dtype=np.int64),
        metrics.normalised(swept.validation[list(classes)]).to_numpy(),
        swept.validation["cluster"].to_numpy(),
        classes,
        settings.metrics,
        settings.seed,
    ).loc[list(SHOWN)]
    chosen = ", ".join(f"{name}={_said(best[name])}" for name in swept.params)
    accuracy = metrics.cell(*judged.loc["accuracy"])
    seconds = found["seconds"]
    computed, reused = int(found["computed"].sum()), int(found["reused"].sum())
    figures = {
        "parallel_coordinates": parallel(swept, plan, monitor),
        "history": history(swept, monitor),
    }
    if swept.importances:
        figures["importances"] = importances(swept.importances)
    return Report(
        scalars={
            "trials": float(len(found)),
            **{f"trials_{how}": float(count) for how, count in ways.items()},
            f"best_{monitor}": float(best["value"]),
            **_flat(judged),
            "activations_computed": float(computed),
            "activations_reused": float(reused),
        },
        tables={
            "best_on_validation": judged.rename_axis("metric").reset_index(),
            "trials": found.sort_values("value", ascending="loss" in monitor),
        },
        figures=figures,
        notes=[
            f"The figures of the best trial are optimistic: it was chosen among {len(found)} "
            "trials on the same validation images. The run that follows evaluates it on test.",
            *_notes(swept, settings),
        ],
        facts={
            "data": f"{settings.dataset.name}, {settings.dataset.source.name}",
            "sweep": plan.name,
            "trials": ", ".join(f"{count} {how}" for how, count in ways.items()),
            "trainings of each trial": swept.parts,
            "validation images": swept.validation["file"].nunique(),
            "activations of frozen layers": f"{computed:,} computed, {reused:,} reused",
            "seconds in trials": f"{seconds.sum():.0f}, the longest {seconds.max():.0f}",
        },
        captions={
            "parallel_coordinates": "One line per finished trial, the better the darker; the "
            "best is red.",
            "history": "The line is the best value so far. A cross is the last value of a trial "
            "that was stopped.",
            "importances": "The share of each setting in the variance of the values within the "
            "space, as Optuna estimates it.",
            "best_on_validation": f"Trial {swept.best}, with {settings.metrics.confidence:.0%} "
            "intervals over near-duplicate clusters.",
            "trials": "Computed and reused: activations of frozen layers, each of one image in one "
            "view. `last value` is that of the last epoch.",
        },
        summary=[
            f"The best of {len(found)} trials is trial {swept.best}: {monitor} {best['value']:.4f} "
            f"with {chosen}.",
            f"Accuracy on validation is {accuracy}, which is optimistic, because the trial was "
            "chosen on the same images.",
            f"The trials reused {words.percent(reused / max(1, computed + reused))} of the "
            f"activations of frozen layers that they needed.",
        ],
        first=("parallel_coordinates", "where the good trials lie in the space"),
    )


def history(swept: Swept, monitor: str) -> Figure:
    """The value of each trial, and the best so far."""
    found = swept.trials.sort_values("trial")
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    good, other = found[found["value"].notna()], found[found["value"].isna()]
    axes.scatter(good["trial"], good["value"], label="finished")
    axes.scatter(other["trial"], other["last value"], marker="x", color="grey", label="stopped")
    so_far = good["value"].cummin() if "loss" in monitor else good["value"].cummax()
    axes.plot(good["trial"], so_far, drawstyle="steps-post", label="best so far")
    axes.set(xlabel="trial", ylabel=monitor)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return figure


def importances(shares: dict[str, float]) -> Figure:
    """One bar per setting, the most important at the top."""
    figure = Figure(figsize=(7, 1.2 + 0.4 * len(shares)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(list(shares), list(shares.values()))
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.invert_yaxis()
    axes.set(xlabel="share of the variance", xlim=(0, 1.08 * max(1e-9, *shares.values())))
    return figure


def parallel(swept: Swept, plan: Sweep, monitor: str) -> Figure:
    """One line per finished trial, through its settings and its value."""
    found = swept.trials[swept.trials["value"].notna()]
    columns = [*swept.params, monitor]
    data = found.rename(columns={"value": monitor})
    placed, ticks = {}, {}
    for name in columns:
        dimension = plan.space.get(name)
        placed[name], ticks[name] = _axis(data[name], bool(dimension and dimension.log))
    worth = found["value"].rank(ascending="loss" not in monitor, pct=True).to_numpy()
    figure = Figure(figsize=(2.2 * len(columns) + 1, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(-0.3, len(columns) - 0.4), ylim=(-0.06, 1.06), yticks=[])
    axes.set_xticks(range(len(columns)), [name.replace(".", ".\n") for name in columns])
    for side in ("left", "right", "top", "bottom"):
        axes.spines[side].set_visible(False)
    lines = np.column_stack([placed[name] for name in columns])  # (trials, columns)
    for line, share, trial in zip(lines, worth, found["trial"], strict=True):
        chosen = trial == swept.best
        color, width = ("tab:red", 2.5) if chosen else ("tab:blue", 1.2)
        axes.plot(line, color=color, alpha=1 if chosen else 0.15 + 0.75 * share, linewidth=width)
    for place, name in enumerate(columns):
        axes.axvline(place, color="black", linewidth=0.8)
        for height, text in ticks[name]:
            axes.text(place + 0.03, height, text, fontsize=8, va="center")
    best = Line2D([], [], color="tab:red", label=f"trial {swept.best}, the best")
    figure.legend(handles=[best], loc="outside upper right", frameon=False)
    return figure


def _axis(values: pd.Series, log: bool) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Places of `values` from 0 to 1, and the ticks of the axis."""
    if any(isinstance(value, str | bool) or value is None for value in values):
        names = sorted(set(map(str, values)))
        where = {name: k / max(1, len(names) - 1) for k, name in enumerate(names)}
        return values.map(lambda value: where[str(value)]).to_numpy(), [
            (height, name) for name, height in where.items()
        ]
    numbers = values.to_numpy(dtype=float)
    scaled = np.log10(numbers) if log else numbers
    low, high = scaled.min(), scaled.max()
    if low == high:
        return np.full(len(scaled), 0.5), [(0.5, f"{numbers[0]:.3g}")]
    ends = [low, (low + high) / 2, high]
    shown = [10**end if log else end for end in ends]
    ticks = [(height, f"{each:.3g}") for height, each in zip((0, 0.5, 1), shown, strict=True)]
    return (scaled - low) / (high - low), ticks


def _notes(swept: Swept, settings: ImageTraining) -> list[str]:
    """What a reader of this sweep must know besides."""
    notes = []
    finished = int(swept.trials["value"].notna().sum())
    if finished < FEW:
        notes.append(
            f"Only {finished} trials finished: importances and parallel coordinates of fewer than "
            f"{FEW} say little."
        )
    if settings.split.folds and settings.split.fold is None:
        notes.append(
            "The cross-validation of the best tests each image once, also those on which the "
            "trials of this sweep were trained and judged: its figures are slightly optimistic. "
            "split.fold=0 evaluates the best on the test images of that fold alone, which no trial "
            "of its sweep saw."
        )
    return notes


def _flat(judged: pd.DataFrame) -> dict[str, float]:
    """The metrics with their intervals as scalars, `validation_<name>`."""
    return {
        f"validation_{name}{end}": float(row[column])
        for name, row in judged.iterrows()
        for column, end in (("value", ""), ("low", "_low"), ("high", "_high"))
    }


def _said(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
