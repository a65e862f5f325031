"""The figure of groups: one prediction for each series or patient, the mean over its images."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conf.schema import Metrics
from datasets.common.contract import NO_GROUP
from tests.common import configuration
from train.common.data.build import build_images
from train.common.data.types import Predictions
from train.common.evaluation.groups import beside, grouped
from train.common.evaluation.images import evaluate
from train.common.evaluation.metrics import intervals, scores
from train.common.evaluation.words import Grouped, of_groups

CLASSES = ("a", "b")
SOME = Metrics(bootstrap=40)


def predicted(
    groups: list[int], labels: list[int], last: list[float], clusters: list[int] | None = None
) -> Predictions:
    """Predictions with the probabilities `last` of the class b."""
    frame = pd.DataFrame(
        {"group": groups, "label": labels, "cluster": groups if clusters is None else clusters},
        index=np.arange(len(groups))[::-1],
    ).assign(file=[f"{row}.png" for row in range(len(groups))])
    probabilities = np.stack([1 - np.array(last), last], axis=1).astype(np.float32)
    return Predictions(frame, probabilities, CLASSES)


def test_the_mean_probability_of_a_group_is_its_prediction() -> None:
    found = grouped(
        predicted([0, 0, 0, 1, 1, 2], [1, 1, 1, 0, 0, 1], [0.4, 0.4, 0.9, 0.1, 0.7, 0.2]), SOME, 0
    )
    assert found is not None
    means = np.array([[0.433, 0.567], [0.6, 0.4], [0.8, 0.2]])
    expected = scores(np.array([1, 0, 1]), means, CLASSES)
    for name in ("accuracy", "mcc", "f1_macro", "roc_auc_macro"):
        assert found.metrics.loc[name, "value"] == pytest.approx(expected[name])
    assert (found.right, found.count, found.mixed, found.loose) == (2, 3, 0, 0)


def test_groups_of_several_classes_and_images_without_a_group_are_counted_and_left_out() -> None:
    pure = predicted([0, 0, 1, 1], [1, 1, 0, 0], [0.9, 0.8, 0.1, 0.7])
    more = predicted(
        [0, 0, 1, 1, 2, 2, NO_GROUP], [1, 1, 0, 0, 1, 0, 1], [0.9, 0.8, 0.1, 0.7, 0, 1, 0]
    )
    alone, found = grouped(pure, SOME, 0), grouped(more, SOME, 0)
    assert alone is not None and found is not None
    pd.testing.assert_frame_equal(alone.metrics, found.metrics)
    assert (found.count, found.mixed, found.loose) == (2, 1, 1)


def test_near_duplicates_alone_are_no_groups() -> None:
    assert (
        grouped(predicted([NO_GROUP] * 4, [0, 1, 0, 1], [0.1] * 4, [0, 0, 1, 1]), SOME, 0) is None
    )


def test_only_groups_of_several_classes_leave_no_figure() -> None:
    found = grouped(predicted([0, 0], [0, 1], [0.1, 0.9]), SOME, 0)
    assert found is not None and found.metrics.empty and (found.count, found.mixed) == (0, 1)


def test_groups_that_share_near_duplicates_are_drawn_together() -> None:
    rng = np.random.default_rng(0)
    labels, last = np.arange(40) % 2, rng.random(40)
    pairs = np.arange(40) // 4
    found = grouped(
        predicted(list(range(40)), labels.tolist(), last.tolist(), pairs.tolist()), SOME, 0
    )
    assert found is not None and found.independent == 10
    means = np.stack([1 - last, last], axis=1)
    table = intervals(labels, means, pairs, CLASSES, SOME, 0)
    for end in ("value", "low", "high"):
        assert found.metrics.loc["mcc", end] == pytest.approx(table.loc["mcc", end])


def told(right: int, count: int, classes: int = 2, independent: int = 0, **left: int) -> Grouped:
    """`right` of `count` groups, with the interval of one group more and one less."""
    value = right / count if count else np.nan
    row = [value, value - 1 / max(1, count), value + 1 / max(1, count)]
    table = pd.DataFrame(
        [row, [0.87, 0.79, 0.93]],
        index=["accuracy", "roc_auc_macro"],
        columns=["value", "low", "high"],
    )
    known = {"mixed": 0, "loose": 0} | left
    return Grouped(
        table if count else pd.DataFrame(), right, count, independent or count, classes, **known
    )


def test_groups_are_told_with_what_their_figure_leaves_out() -> None:
    assert of_groups(told(104, 130)) == [
        "Of 130 groups (series or patients), 104 are predicted right by the mean probability of "
        "their images: 80.0 % (95 % interval 79.2 to 80.8 %), with a ROC AUC of 0.870 [0.790, "
        "0.930]."
    ]
    assert "ROC AUC" not in of_groups(told(104, 130, classes=3))[0]
    [_, left] = of_groups(told(104, 130, mixed=1, loose=1200))
    assert left == (
        "This figure leaves out 1 group with images of several classes and 1,200 images without a "
        "group."
    )
    [_, left] = of_groups(told(104, 130, loose=1))
    assert left == "This figure leaves out 1 image without a group."


def test_few_independent_groups_are_said_to_be_too_few() -> None:
    assert "too few groups to be sure" in of_groups(told(8, 10))[0]
    assert "too few groups to be sure" in of_groups(told(80, 100, independent=20))[0]
    assert "Of 10 groups (series or patients), 1 is predicted right" in of_groups(told(1, 10))[0]


def test_groups_of_several_classes_have_no_figure() -> None:
    assert of_groups(told(0, 0, mixed=5, loose=2)) == [
        "There is no figure of groups (series or patients): it leaves out 5 groups with images of "
        "several classes and 2 images without a group."
    ]


def test_the_report_has_the_groups_of_a_manifest_beside_the_images(
    data_root: Path, tmp_path: Path
) -> None:
    home = data_root / "kidney4"
    if not (home / "manifest.csv").is_file():
        pytest.skip(f"{home} holds no manifest.csv")
    config: Any = configuration(
        "+pipeline=train_mobilenetv2ft", "dataset.source=directory", f"dataset.path={home}",
        "dataset.classes=[Normal,Tumor]", "dataset.limit=null", "dataset.expected=null",
        f"env.cache={tmp_path}", "metrics.bootstrap=100",
    )  # fmt: skip
    images = build_images(config.dataset, tmp_path)
    manifest = pd.read_csv(home / "manifest.csv").set_index("file")["group"]
    named = manifest.loc[images.frame["file"]]
    pairs = set(zip(images.frame["group"], named, strict=True))
    assert len(pairs) == images.frame["group"].nunique() == named.nunique()
    labels = images.frame["label"].to_numpy()
    rng = np.random.default_rng(0)
    last = np.clip(0.5 + 0.1 * (2 * labels - 1) + rng.normal(0, 0.3, len(labels)), 0, 1)
    predictions = Predictions(images.frame, np.stack([1 - last, last], axis=1), images.classes)
    report = evaluate(predictions, config, ("accuracy",), {})
    assert report.scalars["test_group_accuracy"] > report.scalars["test_accuracy"]
    assert report.tables["by_group"]["metric"].tolist() == [
        "accuracy", "mcc", "f1_macro", "roc_auc_macro",
    ]  # fmt: skip
    assert f"Of {named.nunique()} groups (series or patients), " in " ".join(report.summary)


def test_the_table_shows_both_with_intervals() -> None:
    predictions = predicted([0, 0, 1, 1], [1, 1, 0, 0], [0.9, 0.8, 0.1, 0.7])
    found = grouped(predictions, SOME, 0)
    assert found is not None
    clusters = predictions.frame["cluster"].to_numpy()
    images = intervals(predictions.labels, predictions.probabilities, clusters, CLASSES, SOME, 0)
    table = beside(images, found).set_index("metric")
    assert table.columns.tolist() == ["images", "groups (2)"]
    assert table.loc["accuracy"].tolist() == ["0.750 [0.500, 1.000]", "1.000 [1.000, 1.000]"]
