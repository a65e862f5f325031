"""Folds joined into one figure: every image answered once, or a message that says why not."""

import numpy as np
import pandas as pd
import pytest

from conf.errors import UserError
from tests.common import composed
from train.common.classification import scores
from train.common.folds import join
from train.common.provenance import settings_digest
from train.common.values import Report

FOLDS, IMAGES = 5, 200
PIPELINE = "+pipeline=train_resnet50v2ft"
CONFIG = composed(PIPELINE, "split.by=cluster", f"split.folds={FOLDS}", "metrics.bootstrap=20")
CLASSES = tuple(CONFIG.dataset.classes)

Tables = dict[int, pd.DataFrame]


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
            {"file": files, "label": labels, "split": names, "cluster": clusters}
        )
    return predictions, splits


@pytest.fixture(scope="module")
def report() -> Report:
    return join(*logged(), CONFIG)


def test_the_figure_is_that_of_all_answers_together(report: Report) -> None:
    predictions, splits = logged()
    answers = pd.concat(predictions.values()).set_index("file").loc[splits[0]["file"]]
    expected = scores(splits[0]["label"].to_numpy(), answers[list(CLASSES)].to_numpy(), CLASSES)
    for name in ("accuracy", "mcc", "f1_macro", f"recall_{CLASSES[2]}"):
        assert report.scalars[f"test_{name}"] == pytest.approx(expected[name])
        low, high = report.scalars[f"test_{name}_low"], report.scalars[f"test_{name}_high"]
        assert low <= expected[name] <= high
    assert report.tables["predictions"]["file"].nunique() == IMAGES


def test_each_fold_stands_beside_with_mean_and_spread(report: Report) -> None:
    table = report.tables["folds"].set_index("fold")
    assert table.index.tolist() == [*range(FOLDS), "mean", "std"]
    values = table.loc[list(range(FOLDS)), "accuracy"]
    assert values.nunique() > 1
    assert report.scalars["test_accuracy_fold_mean"] == pytest.approx(values.mean())
    assert table.loc["std", "accuracy"] == pytest.approx(np.std(values, ddof=1))
    assert "share training images" in report.captions["folds"]
    assert any("5 models answered" in note for note in report.notes)


def test_near_duplicates_that_cross_are_said_aloud(report: Report) -> None:
    assert not any("near-duplicate clusters have" in note for note in report.notes)
    predictions, splits = logged()
    splits[0].loc[0, "split"] = "validation"
    splits[0].loc[1, "split"] = "train"
    predictions[0] = predictions[0].query("file not in ['0.png', '1.png']")
    predictions[1] = pd.concat([predictions[1], logged()[0][0].query("file in ['0.png', '1.png']")])
    splits[1].loc[[0, 1], "split"] = "test"
    notes = join(predictions, splits, CONFIG).notes
    assert any("1 near-duplicate clusters have" in note for note in notes)


@pytest.mark.parametrize("wrong", ["missing", "doubled"])
def test_folds_that_do_not_answer_once_for_each_image_are_refused(wrong: str) -> None:
    predictions, splits = logged()
    splits[4] = splits[4].assign(split=splits[3]["split"] if wrong == "doubled" else "train")
    predictions[4] = predictions[3] if wrong == "doubled" else predictions[4]
    with pytest.raises(UserError, match=r"for 200 images, not once for each"):
        join(predictions, splits, CONFIG)


def test_folds_of_one_cross_validation_have_the_same_settings_and_others_have_not() -> None:
    command = (PIPELINE, "split.by=cluster", f"split.folds={FOLDS}")
    digest = settings_digest(CONFIG)
    assert digest == settings_digest(composed(*command, "split.fold=3"))
    assert digest == settings_digest(composed(*command, "fit.resume=false", "env.cache=/x"))
    for other in ("seed=1", "split.folds=4", "fit.batch_size=8", "model.weights=/x.weights.h5"):
        assert digest != settings_digest(composed(*command, other))
