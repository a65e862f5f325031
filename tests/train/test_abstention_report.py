"""What the report of a training says of calibration and abstention, from known predictions."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from datasets.common.images import NOT_SURE, UNLIKE, Thresholds, verdicts
from tests.common import configuration
from train.common.data.types import Predictions, TrainedModel
from train.common.evaluation import figures
from train.common.evaluation.abstention import costs, recorded, with_trust
from train.common.evaluation.images import evaluate
from train.common.evaluation.report import render

COUNT = 400
HOT = 2.0
TITLES = ("Normal", "Ulcerative colitis", "Polyps", "Esophagitis")


@pytest.fixture(scope="module")
def settings() -> Any:
    return configuration("+pipeline=train_resnet50v2ft", "env=development", "metrics.bootstrap=50")


@pytest.fixture(scope="module")
def predictions(settings: Any) -> Predictions:
    """Calibrated predictions of four classes; every image of class 3 is far from training."""
    rng = np.random.default_rng(0)
    probabilities = softmax(2 * rng.normal(size=(COUNT, 4)), axis=1)
    labels = (probabilities.cumsum(axis=1) > rng.random((COUNT, 1))).argmax(axis=1)
    table = pd.DataFrame(
        {
            "file": [f"{n}.jpg" for n in range(COUNT)],
            "label": labels,
            "cluster": np.arange(COUNT),
            "group": "",
        }
    )
    unlike = np.where(labels == 3, 9.0, rng.random(COUNT))
    classes = tuple(settings.dataset.classes)
    return Predictions(table, probabilities, classes, unlike)


def trained(thresholds: Thresholds | None) -> TrainedModel:
    nothing: Any = None
    return TrainedModel(
        nothing, pd.DataFrame(), 1, lambda: None, temperature=HOT, thresholds=thresholds
    )


def test_shares_coverage_and_set_size_are_those_of_each_class(predictions: Predictions) -> None:
    thresholds = Thresholds(5.0, (0.5, 0.5, 0.9, 0.5))
    given = predictions.probabilities
    found = verdicts(thresholds, predictions.classes, given, predictions.unlikeness)
    table = costs(predictions, found, TITLES).set_index("class")
    assert table.loc["Esophagitis", "unlike training"] == 1
    assert np.isnan(table.loc["Esophagitis", "accuracy"])
    assert table.loc["Polyps", "unlike training"] == 0
    polyps = predictions.labels == 2
    assert table.loc["Polyps", "covered"] == pytest.approx((given[polyps, 2] >= 0.1).mean())
    sizes = (given >= [0.5, 0.5, 0.1, 0.5]).sum(axis=1)
    assert table.loc["all", "set size"] == pytest.approx(sizes.mean())
    unsure = (sizes != 1) & (predictions.labels != 3)
    assert table.loc["all", "not sure"] == pytest.approx(unsure.mean())
    kept = (sizes == 1) & (predictions.labels != 3)
    right = given.argmax(axis=1) == predictions.labels
    assert table.loc["all", "accuracy"] == pytest.approx(right[kept].mean())
    assert table.loc["all", "images"] == COUNT


def test_the_verdicts_are_read_back_from_the_table_of_predictions(
    predictions: Predictions, settings: Any, tmp_path: Path
) -> None:
    bare = evaluate(predictions, settings, ("accuracy",), {})
    path = tmp_path / "predictions.csv"
    for thresholds in (Thresholds(5.0, (0.3, 0.5, 0.9, 0.5)), Thresholds(5.0, None)):
        with_trust(bare, predictions, trained(thresholds), settings).tables["predictions"].to_csv(
            path, index=False
        )
        given = predictions.probabilities, predictions.unlikeness
        assert recorded(pd.read_csv(path)) == verdicts(thresholds, predictions.classes, *given)
    bare.tables["predictions"].to_csv(path, index=False)
    assert recorded(pd.read_csv(path)) is None


def test_the_report_has_calibration_before_and_after_and_names_the_class_that_is_refused(
    predictions: Predictions, settings: Any
) -> None:
    bare = evaluate(predictions, settings, ("accuracy",), {"roc": figures.roc})
    report = with_trust(bare, predictions, trained(Thresholds(5.0, (0.5,) * 4)), settings)
    scalars = report.scalars
    assert scalars["temperature"] == HOT
    for measure in ("ece", "adaptive_ece", "brier"):
        before, after = (scalars[f"test_{measure}_{each}"] for each in ("before", "after"))
        assert before > after  # before, the same logits were twice as large
        low, high = (scalars[f"test_{measure}_after_{end}"] for end in ("low", "high"))
        assert low <= high
    assert scalars["test_abstention_unlike_training_3_esophagitis"] == 1
    assert any("Esophagitis: 100.0 % of its" in note for note in report.notes)
    assert not any("Polyps" in note for note in report.notes)
    assert "It abstains for" in report.summary[-1]
    assert set(report.tables["predictions"]["abstained_because"].dropna()) == {UNLIKE, NOT_SURE}
    page = render("title", {}, "", report, dict(zip(predictions.classes, TITLES, strict=True)), {})
    for text in ("Risk coverage", "Calibration errors", "unlike training", "Ulcerative colitis"):
        assert text in page


def test_without_thresholds_the_report_has_calibration_alone(
    predictions: Predictions, settings: Any
) -> None:
    bare = evaluate(predictions, settings, ("accuracy",), {})
    report = with_trust(bare, predictions, trained(None), settings)
    assert "calibration" in report.figures and "risk_coverage" not in report.figures
    assert not any("abstention" in name for name in (*report.scalars, *report.tables))
