"""The sentences of a report: accuracy, comparison with chance, uncertainty, what to look at first.

Only this module writes sentences from figures, so that each sentence can be tested with known
figures: the report says of a model at chance that it is at chance.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from conf.schema import ImageDataset, Source, TableDataset

FEW_GROUPS = 30
"""With fewer independent groups, bootstrap intervals are too narrow (Cameron, Gelbach, Miller:
*Bootstrap-based improvements for inference with clustered errors*, 2008)."""
HANGS_ON = (
    "which features do the predictions depend on? A column that is known only after the outcome "
    "must not be one of them"
)
"""Why to look at the importance of the features first."""
SURE = 0.9
"""A wrong prediction with a higher probability counts as confident."""
WORTH = 0.01
"""Smallest gain of accuracy for which more images are collected."""
DRAWN = (
    "The data were generated (dataset.source=sample): the figures show that the program runs, and "
    "say nothing about real data."
)


def titles(dataset: ImageDataset | TableDataset) -> dict[str, str]:
    """A readable name for each class: `dataset.titles`, or the class name without its number.

    `1_ulcerative_colitis` becomes Ulcerative colitis. If two readable names are equal, all classes
    keep their own names.
    """
    read = {name: dataset.titles.get(name) or _title(name) for name in dataset.classes}
    return read if len(set(read.values())) == len(read) else {name: name for name in read}


def _title(name: str) -> str:
    words = re.sub(r"[_\-\s]+", " ", re.sub(r"^\d+[_\-\s]+", "", name)).strip() or name
    return words[0].upper() + words[1:]


@dataclass(frozen=True)
class Judged:
    """Predictions of one or more models for samples that they were not trained on."""

    labels: np.ndarray
    """Class numbers (N,)."""
    probabilities: np.ndarray
    """(N, classes)."""
    metrics: pd.DataFrame
    """The result of `metrics.intervals`: rows by name, columns value, low, high."""
    titles: tuple[str, ...]
    """Readable names of the classes, in the order of the probabilities."""
    groups: int
    """Number of independent groups among the N samples."""
    group: str = "near-duplicate clusters"
    """The word for the groups."""
    unit: str = "test images"
    """The word for the samples."""
    who: str = "The model is"
    confidence: float = 0.95

    @property
    def answers(self) -> np.ndarray:
        """Predicted class numbers (N,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def counts(self) -> np.ndarray:
        """Samples of each class."""
        return np.bincount(self.labels, minlength=len(self.titles))

    @property
    def at_chance(self) -> bool:
        """Whether the interval of the Matthews correlation contains 0, which is chance."""
        low, high = self.metrics.loc["mcc", ["low", "high"]]
        return bool(low <= 0 <= high)


@dataclass(frozen=True)
class Grouped:
    """One prediction for each group of images, such as a series: its mean probability."""

    metrics: pd.DataFrame
    """The result of `metrics.intervals` for the groups; empty without a group of one class."""
    right: int
    """Groups that are predicted right."""
    count: int
    """Groups whose images have one class."""
    independent: int
    """Near-duplicate clusters of these groups."""
    classes: int
    mixed: int
    """Groups that are left out, because their images have several classes."""
    loose: int
    """Images that are left out, because they have no group."""
    confidence: float = 0.95


def of_groups(grouped: Grouped) -> list[str]:
    """The figure of groups, and what it leaves out."""
    mixed = f"{_many(grouped.mixed, 'group')} with images of several classes"
    loose = f"{_many(grouped.loose, 'image')} without a group"
    out = " and ".join([mixed] * bool(grouped.mixed) + [loose] * bool(grouped.loose))
    if not grouped.count:
        return [f"There is no figure of groups (series or patients): it leaves out {out}."]
    value, low, high = grouped.metrics.loc["accuracy"]
    said = (
        f"Of {_many(grouped.count, 'group')} (series or patients), {grouped.right:,} "
        f"{'is' if grouped.right == 1 else 'are'} predicted right by the mean probability of their "
        f"images: {percent(value)} ({100 * grouped.confidence:.0f} % interval {100 * low:.1f} to "
        f"{percent(high)})"
    )
    auc, low, high = grouped.metrics.loc["roc_auc_macro"]
    if grouped.classes == 2 and np.isfinite(auc):
        said += f", with a ROC AUC of {auc:.3f} [{low:.3f}, {high:.3f}]"
    if grouped.independent < FEW_GROUPS:
        said += "; these are too few groups to be sure of it"
    return [f"{said}.", *([f"This figure leaves out {out}."] if out else [])]


def summary(judged: Judged) -> list[str]:
    """The first paragraph: accuracy, comparison with chance, uncertainty, the weakest class."""
    return [_how_good(judged), *_against(judged), _how_sure(judged), *_weakest(judged)]


def look_first(judged: Judged, figures: Iterable[str]) -> tuple[str, str]:
    """The name of the figure to look at first, and the reason."""
    shown = list(figures)
    wrong = judged.answers != judged.labels
    sure = int((wrong & (judged.probabilities.max(axis=1) > SURE)).sum())
    if judged.at_chance and "curves" in shown:
        return "curves", "do the training loss and the validation loss both fall?"
    if not wrong.any():
        return "confusion_matrix", (
            "a result without mistakes is a reason for doubt: something other than the finding may "
            "give the class away. The study of the dataset checks it (python -m datasets "
            "+pipeline=study_...)"
        )
    if sure and "worst_mistakes" in shown:
        return "worst_mistakes", (
            f"{sure} of {wrong.sum()} wrong predictions {'has' if sure == 1 else 'have'} a "
            f"probability over {SURE}"
        )
    return "confusion_matrix", f"it shows the classes of the {wrong.sum()} wrong predictions"


def balance(counted: pd.DataFrame, unit: str, titles: Mapping[str, str]) -> str:
    """The number of samples, and the most frequent and the rarest class.

    `counted` has one row per class: its name in `class`, its number in the column `unit`.
    """
    numbers = dict(zip(counted["class"], counted[unit].astype(int), strict=True))
    most, rarest = max(numbers, key=numbers.__getitem__), min(numbers, key=numbers.__getitem__)
    total = sum(numbers.values())
    return (
        f"{total:,} {unit} of {len(numbers)} classes: {titles[most]} is the most frequent "
        f"({percent(numbers[most] / total)}), {titles[rarest]} the rarest ({numbers[rarest]:,})."
    )


def drawn(dataset: ImageDataset | TableDataset) -> list[str]:
    """The warning that the data were generated, if they were."""
    return [DRAWN] if dataset.source == Source.sample else []


def few_groups(groups: int, name: str) -> list[str]:
    """The warning that there are too few independent `groups`, if there are."""
    if groups >= FEW_GROUPS:
        return []
    return [
        f"Only {groups} independent {name} were tested, and a bootstrap needs about {FEW_GROUPS}: "
        "the intervals are probably too narrow, and other samples may give other figures."
    ]


def _how_good(judged: Judged) -> str:
    value, low, high = judged.metrics.loc["accuracy"]
    said = (
        f"{judged.who} right for {percent(value)} of {len(judged.labels):,} {judged.unit} "
        f"({100 * judged.confidence:.0f} % interval {100 * low:.1f} to {percent(high)})"
    )
    if len(judged.titles) == 2:
        value, low, high = judged.metrics.loc["roc_auc_macro"]
        said += f", with a ROC AUC of {value:.3f} [{low:.3f}, {high:.3f}]"
    return f"{said}."


def _against(judged: Judged) -> list[str]:
    mcc, low, high = judged.metrics.loc["mcc"]
    share, most = judged.counts.max() / len(judged.labels), judged.titles[judged.counts.argmax()]
    always = f"always predicting {most}, the most frequent class"
    measured = f"Matthews correlation {mcc:.2f} [{low:.2f}, {high:.2f}]; chance is 0"
    same = judged.titles[judged.answers[0]] if len(set(judged.answers)) == 1 else ""
    if judged.at_chance:
        said = [
            f"That is no better than chance ({measured}): no evidence that it has learned to tell "
            f"the classes apart; {always}, would be right for {percent(share)}."
        ]
        return [*said, f"It predicted {same} every time."] if same else said
    if high < 0:
        return [f"That is worse than chance ({measured}): are labels, or classes, swapped?"]
    if judged.metrics.loc["accuracy", "low"] > share:
        guess = f"guessing ({percent(1 / len(judged.titles))})"
        return [f"That is better than {always} ({percent(share)}), and than {guess}."]
    return [
        f"It tells the classes apart better than chance ({measured}), but is not shown to be right "
        f"more often than {always} ({percent(share)})."
    ]


def _how_sure(judged: Judged) -> str:
    low, high = judged.metrics.loc["accuracy", ["low", "high"]]
    said = f"The interval is {100 * (high - low):.1f} points wide and comes from {judged.groups:,} "
    if judged.groups < FEW_GROUPS:
        return f"{said}independent {judged.group}: too few to be sure of it."
    return f"{said}independent {judged.group}."


def _weakest(judged: Judged) -> list[str]:
    answers, counts = judged.answers, judged.counts
    absent = [title for title, count in zip(judged.titles, counts, strict=True) if not count]
    said = [f"None of the {judged.unit} shows {title}." for title in absent]
    if (answers == judged.labels).all():
        return ["Every class was recognised without a mistake.", *said]
    hits = np.bincount(judged.labels[answers == judged.labels], minlength=len(counts))
    recall = np.where(counts > 0, hits / np.maximum(counts, 1), np.inf)
    worst = int(recall.argmin())
    mistakes = answers[(judged.labels == worst) & (answers != worst)]
    other, times = np.bincount(mistakes).argmax(), np.bincount(mistakes).max()
    verb = "is" if times == 1 else "are"
    return [
        f"The weakest class is {judged.titles[worst]}: {hits[worst]} of {counts[worst]} are "
        f"recognised ({percent(recall[worst])}), and {times} {verb} taken for "
        f"{judged.titles[other]}.",
        *said,
    ]


def _many(count: int, unit: str) -> str:
    return f"{count:,} {unit}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """0.918 as `91.8 %`."""
    return f"{100 * share:.1f} %"


def more_images(share: float, gain: tuple[float, float, float]) -> str:
    """Whether more images would help: `gain` is that from `share` to all of them, and its interval.

    A gain is worth more images from one point on (`WORTH`).
    """
    value, low, high = (100 * each for each in gain)
    if low > 0:
        verdict = "more images would help"
    elif high < 100 * WORTH:
        verdict = "more images of the same kind would hardly help"
    else:
        verdict = "whether more images would help is not clear"
    return (
        f"From {share:.0%} to 100% of the training images, accuracy on validation changed by "
        f"{value:+.1f} points [{low:+.1f}, {high:+.1f}]: {verdict}."
    )
