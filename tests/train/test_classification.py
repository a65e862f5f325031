"""Metrics agree with scikit-learn, and intervals cover what they should."""

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    classification_report,
    matthews_corrcoef,
    recall_score,
    roc_auc_score,
)

from conf.schema import Metrics
from train.common.evaluation.metrics import PER_CLASS, caveats, intervals, per_class, scores

CLASSES = ("a", "b", "c")
INTERVAL = r"\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]"


def answers(count: int, seed: int = 0, skill: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, count, p=[0.5, 0.3, 0.2])
    logits = rng.normal(size=(count, 3)) + skill * np.eye(3)[labels]
    return labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_scores_are_those_of_scikit_learn() -> None:
    labels, probabilities = answers(200)
    ours = scores(labels, probabilities, CLASSES)
    theirs = classification_report(
        labels, probabilities.argmax(1), target_names=CLASSES, output_dict=True
    )
    assert ours["accuracy"] == pytest.approx(theirs["accuracy"])
    assert ours["mcc"] == pytest.approx(matthews_corrcoef(labels, probabilities.argmax(1)))
    for name, key in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
        for average in ("macro", "weighted"):
            assert ours[f"{name}_{average}"] == pytest.approx(theirs[f"{average} avg"][key])
        for class_name in CLASSES:
            assert ours[f"{name}_{class_name}"] == pytest.approx(theirs[class_name][key])


def test_ranking_and_probabilities_are_scored_as_by_scikit_learn() -> None:
    labels, probabilities = answers(200)
    ours = scores(labels, probabilities, CLASSES)
    everyone = np.eye(3)[labels]
    for name, score in (
        ("roc_auc_macro", roc_auc_score),
        ("average_precision_macro", average_precision_score),
    ):
        assert ours[name] == pytest.approx(score(everyone, probabilities, average="macro"))
    assert ours["brier"] == pytest.approx(((probabilities - everyone) ** 2).sum(axis=1).mean())
    two = probabilities[:, :2] / probabilities[:, :2].sum(axis=1, keepdims=True)
    squared = (two[:, 1] - (labels == 1)) ** 2
    assert scores((labels == 1).astype(int), two, CLASSES[:2])["brier"] == pytest.approx(
        squared.mean()
    )


def test_a_class_without_images_has_no_metrics_of_its_own() -> None:
    labels, probabilities = answers(60)
    ours = scores(labels % 2, probabilities, CLASSES)
    for name in PER_CLASS:
        assert np.isnan(ours[f"{name}_c"])
        assert ours[f"{name}_macro"] == pytest.approx((ours[f"{name}_a"] + ours[f"{name}_b"]) / 2)


def test_specificity_is_the_recall_of_all_other_classes() -> None:
    labels, probabilities = answers(200)
    ours = scores(labels, probabilities, CLASSES)
    for k, name in enumerate(CLASSES):
        others = recall_score(labels != k, probabilities.argmax(1) != k)
        assert ours[f"specificity_{name}"] == pytest.approx(others)
        assert ours[f"roc_auc_{name}"] == pytest.approx(
            roc_auc_score(labels == k, probabilities[:, k])
        )


@pytest.mark.slow
def test_most_95_percent_intervals_hold_the_true_accuracy() -> None:
    labels, probabilities = answers(200_000)
    truth = scores(labels, probabilities, CLASSES)["accuracy"]
    held = 0
    for seed in range(1, 21):
        labels, probabilities = answers(150, seed)
        table = intervals(
            labels, probabilities, np.arange(150), CLASSES, Metrics(bootstrap=40), seed
        )
        held += table.loc["accuracy", "low"] <= truth <= table.loc["accuracy", "high"]
    assert held >= 14  # a true 95 % interval holds fewer less than once in 10,000


def test_near_duplicates_widen_the_interval() -> None:
    labels, probabilities = answers(40)
    copies = np.repeat(np.arange(40), 5)
    labels, probabilities = labels[copies], probabilities[copies]

    def width(clusters: np.ndarray) -> float:
        table = intervals(labels, probabilities, clusters, CLASSES, Metrics(bootstrap=100), 0)
        return table.loc["accuracy", "high"] - table.loc["accuracy", "low"]

    assert width(copies) > 1.6 * width(np.arange(200))  # sqrt(5) in theory


def test_the_table_shows_support_and_intervals_for_every_class() -> None:
    labels, probabilities = answers(100)
    table = intervals(labels, probabilities, np.arange(100), CLASSES, Metrics(bootstrap=20), 0)
    shown = per_class(table, labels, CLASSES)
    assert shown["class"].tolist() == [*CLASSES, "macro", "weighted"]
    assert shown["support"].tolist()[:3] == np.bincount(labels).tolist()
    assert shown["recall"].str.fullmatch(INTERVAL).all()
    assert list(shown.columns) == ["class", "support", *PER_CLASS]
    for name in ("specificity", "roc_auc", "average_precision"):
        assert shown[name].iloc[:-1].str.fullmatch(INTERVAL).all() and shown[name].iloc[-1] == ""


def test_few_images_and_crossing_clusters_are_said_aloud() -> None:
    notes = caveats(np.array([0] * 20 + [1] * 20 + [2] * 3), CLASSES, crossing=7)
    assert any("c has 3 test images" in note for note in notes)
    assert any("7 near-duplicate clusters" in note for note in notes)
    assert not any("accepted" in note for note in notes)
    accepted = caveats(np.array([0, 1, 2] * 20), CLASSES, crossing=7, accepted=True)
    assert "accepted by split.allow_crossing=true" in accepted[0]
    assert caveats(np.array([0, 1, 2] * 20), CLASSES, crossing=0) == []
