"""Folds joined into one figure: every image answered once, or a message that says why not."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from conf.errors import UserError
from datasets.common.contract import NO_GROUP
from datasets.common.images import UNLIKE
from tests.common import configuration, new_store
from tests.datasets.common import image_set
from train.common.cross_validation import cross_validate, join
from train.common.data.build import build_images
from train.common.data.split import split_images
from train.common.data.types import Predictions, Report
from train.common.evaluation import figures
from train.common.evaluation.images import evaluate
from train.common.evaluation.metrics import scores
from train.common.tracking import provenance
from train.common.tracking.log import tracked_run
from train.common.tracking.provenance import settings_digest

FOLDS, IMAGES = 5, 200
GROUPED = 60
"""The first clusters are groups of a manifest, each of two images."""
PIPELINE = "+pipeline=train_resnet50v2ft"
CONFIG = configuration(PIPELINE, "split.by=cluster", f"split.folds={FOLDS}", "metrics.bootstrap=20")
CLASSES = tuple(CONFIG.dataset.classes)

Tables = dict[int, pd.DataFrame]


def judge(predictions: Predictions, settings: Any) -> Report:
    return evaluate(predictions, settings, ("accuracy", "mcc"), {"roc": figures.roc})


def logged() -> tuple[Tables, Tables]:
    """What the runs of five folds log: predictions and splits, of two images a cluster."""
    rng = np.random.default_rng(0)
    labels = np.arange(IMAGES) // 2 % len(CLASSES)
    clusters = np.arange(IMAGES) // 2
    fold = clusters // len(CLASSES) % FOLDS
    files = np.array([f"{i}.png" for i in range(IMAGES)])
    logits = rng.normal(size=(IMAGES, len(CLASSES))) + 2 * np.eye(len(CLASSES))[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    predictions, splits = {}, {}
    for number in range(FOLDS):
        rows = rng.permutation(np.flatnonzero(fold == number))
        predictions[number] = pd.DataFrame(probabilities[rows], columns=list(CLASSES)).assign(
            file=files[rows]
        )
        names = np.where(fold == number, "test", "train")
        splits[number] = pd.DataFrame(
            {
                "file": files,
                "label": labels,
                "split": names,
                "cluster": clusters,
                "group": np.where(clusters < GROUPED, clusters, NO_GROUP),
            }
        )
    return predictions, splits


@pytest.fixture(scope="module")
def report() -> Report:
    return join(*logged(), judge, CONFIG)


def test_the_figure_is_that_of_all_answers_together(report: Report) -> None:
    predictions, splits = logged()
    answers = pd.concat(predictions.values()).set_index("file").loc[splits[0]["file"]]
    expected = scores(splits[0]["label"].to_numpy(), answers[list(CLASSES)].to_numpy(), CLASSES)
    for name in ("accuracy", "mcc", "f1_macro", f"recall_{CLASSES[2]}"):
        assert report.scalars[f"test_{name}"] == pytest.approx(expected[name])
        low, high = report.scalars[f"test_{name}_low"], report.scalars[f"test_{name}_high"]
        assert low <= expected[name] <= high
    assert report.tables["predictions"]["file"].nunique() == IMAGES


def test_the_figure_of_groups_is_that_of_the_mean_answers_of_all_folds(report: Report) -> None:
    predictions, splits = logged()
    answers = pd.concat(predictions.values()).set_index("file").loc[splits[0]["file"]]
    means = answers[list(CLASSES)].to_numpy().reshape(-1, 2, len(CLASSES)).mean(axis=1)[:GROUPED]
    expected = scores(splits[0]["label"].to_numpy()[::2][:GROUPED], means, CLASSES)
    for name in ("accuracy", "mcc", "f1_macro", "roc_auc_macro"):
        assert report.scalars[f"test_group_{name}"] == pytest.approx(expected[name])
        assert f"test_group_{name}_low" in report.scalars
    assert "groups (60)" in report.tables["by_group"] and "by_group" in report.captions
    assert "Of 60 groups (series or patients), " in " ".join(report.summary)
    assert report.summary[-1] == "This figure leaves out 80 images without a group."


def test_sources_of_all_folds_stand_in_one_table() -> None:
    predictions, splits = logged()
    sources = np.where(np.arange(IMAGES) % 4 < 2, "x", "y")
    named = {number: table.assign(source=sources) for number, table in splits.items()}
    table = join(predictions, named, judge, CONFIG).tables["by_source"].set_index("source")
    assert table["images"].to_dict() == {"x": IMAGES // 2, "y": IMAGES // 2}
    assert "by_source" not in join(predictions, splits, judge, CONFIG).tables


def test_folds_of_an_earlier_version_are_refused() -> None:
    predictions, splits = logged()
    splits[0] = splits[0].drop(columns="group")
    with pytest.raises(UserError, match="an earlier version trained them; delete their runs"):
        join(predictions, splits, judge, CONFIG)


def test_each_fold_stands_beside_with_mean_and_spread(report: Report) -> None:
    table = report.tables["folds"].set_index("fold")
    assert table.index.tolist() == [*range(FOLDS), "mean", "std"]
    values = table.loc[list(range(FOLDS)), "accuracy"]
    assert values.nunique() > 1
    assert report.scalars["test_accuracy_fold_mean"] == pytest.approx(values.mean())
    assert table.loc["std", "accuracy"] == pytest.approx(np.std(values, ddof=1))
    assert "share training images" in report.captions["folds"]
    assert any("5 models predicted" in note for note in report.notes)


def test_what_the_models_refused_is_pooled() -> None:
    predictions, splits = logged()
    for number, table in predictions.items():
        reasons = [UNLIKE if number == 0 else None] * len(table)
        predictions[number] = table.assign(
            abstained_because=reasons, set=CLASSES[0], unlikeness=float(number)
        )
    pooled = join(predictions, splits, judge, CONFIG)
    table = pooled.tables["abstention"].set_index("class")
    assert table.loc["all", "images"] == IMAGES
    first = len(predictions[0]) / IMAGES
    assert table.loc["all", "unlike training"] == pytest.approx(first)
    rows = pooled.tables["predictions"]
    assert (rows["unlikeness"] == rows["fold"]).all()


def test_near_duplicates_that_cross_are_said_aloud(report: Report) -> None:
    assert not any("near-duplicate clusters have" in note for note in report.notes)
    predictions, splits = logged()
    splits[0].loc[0, "split"] = "validation"
    splits[0].loc[1, "split"] = "train"
    predictions[0] = predictions[0].query("file not in ['0.png', '1.png']")
    predictions[1] = pd.concat([predictions[1], logged()[0][0].query("file in ['0.png', '1.png']")])
    splits[1].loc[[0, 1], "split"] = "test"
    notes = join(predictions, splits, judge, CONFIG).notes
    assert any("1 near-duplicate clusters have" in note for note in notes)


@pytest.mark.parametrize("wrong", ["missing", "doubled"])
def test_folds_that_do_not_answer_once_for_each_image_are_refused(wrong: str) -> None:
    predictions, splits = logged()
    splits[4] = splits[4].assign(split=splits[3]["split"] if wrong == "doubled" else "train")
    predictions[4] = predictions[3] if wrong == "doubled" else predictions[4]
    with pytest.raises(UserError, match=r"for 200 images, not one for each"):
        join(predictions, splits, judge, CONFIG)


def test_folds_of_one_cross_validation_have_the_same_settings_and_others_have_not() -> None:
    command = (PIPELINE, "split.by=cluster", f"split.folds={FOLDS}")
    digest = settings_digest(CONFIG)
    assert digest == settings_digest(configuration(*command, "split.fold=3"))
    assert digest == settings_digest(configuration(*command, "fit.resume=false", "env.cache=/x"))
    for other in ("seed=1", "split.folds=4", "fit.batch_size=8", "model.weights=/x.weights.h5"):
        assert digest != settings_digest(configuration(*command, other))


def test_what_a_reader_or_a_file_of_weights_gives_is_part_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "backbone.weights.h5"
    weights.write_bytes(b"one")
    command = (PIPELINE, "split.by=cluster", f"split.folds={FOLDS}", f"model.weights={weights}")
    first = settings_digest(configuration(*command))
    assert first == settings_digest(configuration(*command))
    weights.write_bytes(b"two")
    second = settings_digest(configuration(*command))
    monkeypatch.setattr(provenance, "READER", provenance.READER + 1, raising=False)
    assert len({first, second, settings_digest(configuration(*command))}) == 3


@pytest.mark.slow
def test_folds_of_other_labels_are_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = image_set(tmp_path / "data", count=16, classes=list(CLASSES))
    files = sorted(path.relative_to(data).as_posix() for path in data.rglob("*.png"))
    manifest = pd.DataFrame({"file": files, "label": [file.split("/")[0] for file in files]})
    flat = tmp_path / "flat"
    flat.mkdir()
    manifest["file"] = manifest["file"].str.replace("/", "-")
    for file, name in zip(files, manifest["file"], strict=True):
        (data / file).rename(flat / name)
    manifest.to_csv(flat / "manifest.csv", index=False)
    trained: list[int] = []

    def train_once(settings: Any) -> Any:
        with tracked_run(settings) as run:
            images: Any = build_images(settings.dataset, tmp_path / "cache")
            run.log_data(images)
            splits = split_images(images, settings.split)
            run.log_splits(splits)
            tested = images.frame.iloc[splits.test][["file"]]
            table = tested.assign(**dict.fromkeys(CLASSES, 0.25))
            run.log_report(Report(scalars={}, tables={"predictions": table}, figures={}))
        trained.append(settings.split.fold)

    def train(config: Any) -> None:
        pooled = cross_validate(train_once, judge, config)
        assert sorted(pooled.runs) == [0, 1]
        assert pooled.report.tables["predictions"]["fold"].value_counts().tolist() == [32, 32]

    config = configuration(
        PIPELINE, "split.by=cluster", "split.folds=2", "split.validation=0.25",
        "metrics.bootstrap=20", "dataset.source=directory", f"dataset.path={flat}",
        f"env.cache={tmp_path}/cache",
        f"env.tracking_uri={new_store(tmp_path)}",
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    before = mlflow.get_tracking_uri()
    try:
        train(config)
        train(config)
        assert trained == [0, 1]
        manifest.loc[0, "label"] = CLASSES[1]
        manifest.to_csv(flat / "manifest.csv", index=False)
        train(config)
        assert trained == [0, 1, 0, 1]
    finally:
        mlflow.set_tracking_uri(before)
