"""The report of a sweep: the best trial with its interval on validation, and what to doubt."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.common import configuration
from train.common.data.types import Report
from train.common.evaluation.metrics import scores
from train.common.evaluation.report import render
from train.common.evaluation.sweep import Swept, report

CONFIG = configuration("+pipeline=train_vgg16ft", "+sweep=quick", "metrics.bootstrap=50")
CLASSES = tuple(CONFIG.dataset.classes)
RATE = "fit.finetune.learning_rate"


def swept(count: int = 12) -> Swept:
    """Trials of which one was stopped and one diverged; the best is trial 3."""
    rng = np.random.default_rng(0)
    values = rng.uniform(0.4, 0.9, count)
    values[3], values[5], values[7] = 0.3, np.nan, np.nan
    ended = np.array(["finished"] * count, dtype=object)
    ended[5], ended[7] = "stopped", "diverged"
    trials = pd.DataFrame(
        {
            "trial": range(count),
            "ended": ended,
            "value": values,
            "last value": np.where(ended == "diverged", np.nan, 0.95),
            "epochs": 3,
            "seconds": 2.0,
            "computed": [80, *[0] * (count - 1)],
            "reused": [0, *[80] * (count - 1)],
            RATE: 10 ** rng.uniform(-5, -3, count),
            "fit.schedule": rng.choice(["constant", "cosine"], count),
            "model.dropout": rng.uniform(0, 0.5, count),
        }
    )
    labels = np.arange(40) % len(CLASSES)
    answers = np.where(rng.random(40) < 0.8, labels, 1 - labels)
    table = pd.DataFrame(
        np.where(np.eye(len(CLASSES))[answers] > 0, 0.9, 0.1), columns=list(CLASSES)
    ).assign(file=[f"{k}.png" for k in range(40)], label=labels, cluster=np.arange(40) // 2)
    shares = {RATE: 0.7, "model.dropout": 0.2, "fit.schedule": 0.1}
    return Swept(trials, [RATE, "fit.schedule", "model.dropout"], 3, shares, table, 1)


@pytest.fixture(scope="module")
def made() -> Report:
    return report(swept(), CONFIG)


def test_the_best_trial_has_its_interval_on_validation(made: Report) -> None:
    table = swept().validation
    expected = scores(table["label"].to_numpy(), table[list(CLASSES)].to_numpy(), CLASSES)
    assert made.scalars["validation_accuracy"] == pytest.approx(expected["accuracy"])
    low, high = (made.scalars[f"validation_accuracy_{end}"] for end in ("low", "high"))
    assert low < expected["accuracy"] < high
    assert made.scalars["best_val_loss"] == 0.3
    assert "trial 3: val_loss 0.3000 with fit.finetune.learning_rate=" in made.summary[0]
    assert not [name for name in made.scalars if name.startswith("test_")]


def test_it_says_how_trials_ended_and_what_they_shared(made: Report) -> None:
    assert made.facts["trials"] == "10 finished, 1 stopped, 1 diverged"
    assert made.facts["activations of frozen layers"] == "80 computed, 880 reused"
    assert "reused 91.7 % of the activations" in made.summary[2]
    assert "optimistic: it was chosen among 12 trials" in made.notes[0]
    assert made.tables["trials"]["trial"].iloc[0] == 3


def test_few_trials_and_folds_are_warned_of() -> None:
    notes = " ".join(report(swept(8), CONFIG).notes)
    assert "Only 6 trials finished" in notes
    assert "cross-validation" not in notes
    folds = replace(CONFIG, split=replace(CONFIG.split, folds=5))
    assert "slightly optimistic" in " ".join(report(swept(), folds).notes)


def test_it_becomes_a_page_with_three_figures(made: Report) -> None:
    page = render("vgg16ft on kidney2", {}, "seed: 0\n", made, {}, {})
    assert page.count("data:image/png") == 3
    assert list(made.figures) == ["parallel_coordinates", "history", "importances"]


def test_the_better_trial_is_the_darker_line(made: Report) -> None:
    [axes] = made.figures["parallel_coordinates"].axes
    finished = swept().trials.dropna(subset="value")
    lines: list[Any] = [line for line in axes.lines if np.size(line.get_xdata()) == 4]
    assert len(lines) == len(finished)
    darkness = pd.Series([line.get_alpha() for line in lines], index=finished["value"])
    assert darkness.sort_index().is_monotonic_decreasing
    assert lines[3].get_color() == "tab:red"


def test_without_variance_there_are_no_importances() -> None:
    assert "importances" not in report(replace(swept(), importances={}), CONFIG).figures
