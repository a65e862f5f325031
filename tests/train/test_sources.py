"""Figures by source, and folds that test one source each."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conf.errors import UserError
from conf.schema import Metrics
from tests.common import configuration
from tests.datasets.common import CLASSES, build, image_set, write_manifest
from train.common.cross_validation import join
from train.common.data.build import build_images
from train.common.data.split import split_images
from train.common.data.types import Predictions, Report
from train.common.evaluation import figures, operating
from train.common.evaluation.images import evaluate
from train.common.evaluation.sources import by_source, confounded

TITLES = ("First", "Second")
COUNT = 24
"""Images of each class."""
SOME = Metrics(bootstrap=40)


def predicted(sources: list[str], labels: list[int], right: list[bool]) -> Predictions:
    answers = np.where(right, labels, 1 - np.array(labels))
    frame = pd.DataFrame({"label": labels, "source": sources, "cluster": range(len(labels))})
    frame = frame.assign(group=-1, file=[f"{k}.png" for k in range(len(labels))])
    return Predictions(frame, np.eye(2)[answers], tuple(CLASSES))


def three_sources(root: Path, column: str = "source") -> Path:
    """A set of two classes whose images come from a, b and c in turn."""
    image_set(root, COUNT)
    write_manifest(root, **{column: ["a", "b", "c"] * (2 * COUNT // 3)})
    return root


def settings(root: Path, *words: str) -> Any:
    return configuration(
        "+pipeline=train_vgg16ft", "dataset.source=directory", f"dataset.path={root}",
        f"dataset.classes=[{','.join(CLASSES)}]", "dataset.limit=null", "split.by=source",
        f"env.cache={root.parent / 'cache'}", *words,
    )  # fmt: skip


@pytest.mark.parametrize("column", ["source", "dataset"])
def test_the_manifest_names_the_source(tmp_path: Path, column: str) -> None:
    frame = build(three_sources(tmp_path / "set", column)).frame
    assert frame["source"].value_counts().to_dict() == dict.fromkeys("abc", 2 * COUNT // 3)
    assert (build(image_set(tmp_path / "plain")).frame["source"] == "").all()


def test_each_source_has_its_accuracy_and_its_recall_of_each_class() -> None:
    predictions = predicted(
        ["x", "x", "x", "x", "y", "y", ""], [0, 0, 1, 1, 1, 1, 0], [True] * 3 + [False, True] * 2
    )
    table = by_source(predictions, SOME, 0)
    assert table is not None
    table = table.set_index("source")
    assert table["images"].to_dict() == {"x": 4, "y": 2}
    assert table.loc["x", "accuracy"].startswith("0.750 [")
    assert table.loc["x", f"recall_{CLASSES[0]}"] == "1.000 [1.000, 1.000]"
    assert table.loc["x", f"recall_{CLASSES[1]}"].startswith("0.500 [")
    assert table.loc["y", f"recall_{CLASSES[0]}"] == ""


def test_a_single_source_has_no_table() -> None:
    one = predicted(["x"] * 4, [0, 1, 0, 1], [True] * 4)
    assert by_source(one, SOME, 0) is None and confounded(one.frame, TITLES) == []
    none = Predictions(one.frame.assign(source=np.nan), one.probabilities, one.classes)
    assert by_source(none, SOME, 0) is None


def test_a_class_of_one_source_is_a_note() -> None:
    mixed = predicted(["x", "y", "x", "y"], [0, 0, 1, 1], [True] * 4)
    assert confounded(mixed.frame, TITLES) == []
    apart = predicted(["x", "y", "x", "x"], [0, 0, 1, 1], [True] * 4)
    [note] = confounded(apart.frame, TITLES)
    assert "Second (x)" in note and "First" not in note


def test_the_report_has_the_table_and_the_note(tmp_path: Path) -> None:
    config = settings(three_sources(tmp_path / "set"), "metrics.bootstrap=20")
    predictions = predicted(["x", "y"] * 5 + ["x"] * 10, [0] * 10 + [1] * 10, [True, False] * 10)
    report = evaluate(predictions, config, ("accuracy",), {})
    assert report.tables["by_source"]["source"].tolist() == ["x", "y"]
    assert "by_source" in report.captions
    assert any("come from one source: Second (x)" in note for note in report.notes)


def test_each_fold_tests_one_source_and_trains_on_the_others(tmp_path: Path) -> None:
    root = three_sources(tmp_path / "set")
    tested = []
    for fold in range(3):
        config = settings(root, "split.folds=3", f"split.fold={fold}")
        images: Any = build_images(config.dataset, tmp_path / "cache")
        splits = split_images(images, config.split)
        sources = images.frame["source"].to_numpy()
        [source] = set(sources[splits.test])
        assert source not in sources[splits.train] and source not in sources[splits.validation]
        assert len(splits.test) == 2 * COUNT // 3 and splits.crossing == 0
        assert len(splits.validation) == pytest.approx(0.2 * 2 * COUNT, abs=5)
        tested.append(source)
    assert tested == ["a", "b", "c"]


def test_near_duplicates_of_several_sources_stay_together(tmp_path: Path) -> None:
    root = three_sources(tmp_path / "set")
    listed = pd.read_csv(root / "manifest.csv")
    listed["group"] = ""
    listed.loc[:2, "group"] = "patient"
    listed.loc[2, "source"] = "b"
    listed.to_csv(root / "manifest.csv", index=False)
    config = settings(root, "split.folds=3", "split.fold=1")
    images: Any = build_images(config.dataset, tmp_path / "cache")
    splits = split_images(images, config.split)
    assert splits.crossing == 0
    assert set(listed["file"][:3]) <= set(images.frame["file"].iloc[splits.test])


@pytest.mark.parametrize(
    ("sources", "folds", "message"),
    [
        (["a", "b", "c"] * 16, 5, r"split.folds=5, but .* has 3 \(a, b, c\); give split.folds=3"),
        (["a", "b", "c"] * 16, None, "split.folds=None, but .* give split.folds=3"),
        (["a"] * 48, 2, "of one source, a; choose split.by=cluster"),
        (["a", "b", ""] * 16, 2, "16 of 48 images of kidney2 have no source"),
        (["a"] * 24 + ["b"] * 24, 2, rf"{CLASSES[0]} \(a\), {CLASSES[1]} \(b\).*Add images of it"),
        (["a"] * 24 + ["a", "b"] * 12, 2, rf"one source: {CLASSES[0]} \(a\)\. The fold"),
    ],
)
def test_sources_that_make_no_folds_are_refused(
    tmp_path: Path, sources: list[str], folds: int | None, message: str
) -> None:
    root = image_set(tmp_path / "set", COUNT)
    write_manifest(root, source=sources)
    words = [f"split.folds={folds}", "split.fold=0"] if folds else []
    config = settings(root, *words)
    images: Any = build_images(config.dataset, tmp_path / "cache")
    with pytest.raises(UserError, match=message):
        split_images(images, config.split)


def test_a_class_of_one_source_can_be_left_out(tmp_path: Path) -> None:
    root = image_set(tmp_path / "set", COUNT, classes=["first", "second", "third"])
    write_manifest(root, source=["a", "b"] * COUNT + ["a"] * COUNT)
    words = ["dataset.classes=[first,second,third]", "split.folds=2", "split.fold=0"]
    config = settings(root, *words)
    images: Any = build_images(config.dataset, tmp_path / "cache")
    with pytest.raises(UserError, match=r"third \(a\).*dataset.classes=\[first,second"):
        split_images(images, config.split)


def test_a_source_without_a_class_is_tested_too(tmp_path: Path) -> None:
    root = image_set(tmp_path / "set", COUNT)
    write_manifest(root, source=["a", "b"] * (COUNT // 2) + ["a", "b", "c"] * (COUNT // 3))
    tested: list[int] = []
    for fold in range(3):
        config = settings(root, "split.folds=3", f"split.fold={fold}", "metrics.bootstrap=20")
        images: Any = build_images(config.dataset, tmp_path / "cache")
        splits = split_images(images, config.split)
        assert set(splits.labels(splits.train)) == set(splits.labels(splits.validation)) == {0, 1}
        tested.extend(splits.test)
    assert sorted(tested) == list(range(2 * COUNT))
    assert set(splits.labels(splits.test)) == {1}
    answers = np.random.default_rng(0).dirichlet([1, 1], len(splits.test))
    predictions = Predictions(images.frame.iloc[splits.test], answers, images.classes)
    drawn = {"confusion": figures.confusion, "roc": figures.roc}
    report = evaluate(predictions, config, ("accuracy", "recall_macro"), drawn)
    points = operating.with_points(report, predictions, (0.5, 0.5), config)
    assert 0 <= points.scalars["test_accuracy"] <= 1 and "test_roc_auc_macro" not in points.scalars
    assert points.tables["operating_points"]["sensitivity"].iat[0] == ""


def judged(predictions: Predictions, config: Any) -> Report:
    return evaluate(predictions, config, ("accuracy",), {})


def test_the_report_of_all_folds_says_what_it_measures(tmp_path: Path) -> None:
    root = three_sources(tmp_path / "set")
    predictions, parts = {}, {}
    config = settings(root, "split.folds=3", "metrics.bootstrap=20")
    images: Any = build_images(config.dataset, tmp_path / "cache")
    for fold in range(3):
        splits = split_images(images, replace(config.split, fold=fold))
        files = images.frame["file"].iloc[splits.test]
        given = np.eye(2)[splits.labels(splits.test) if fold else 1 - splits.labels(splits.test)]
        predictions[fold] = pd.DataFrame(given, columns=list(CLASSES)).assign(file=files.tolist())
        parts[fold] = splits.table()
    report = join(predictions, parts, judged, config)
    table = report.tables["by_source"].set_index("source")["accuracy"].str[:5]
    assert table.to_dict() == {"a": "0.000", "b": "1.000", "c": "1.000"}
    assert any("trained on the other sources" in note for note in report.notes)
