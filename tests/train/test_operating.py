"""Operating points, the images that Grad-CAM explains, and its sanity check."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.common import head
from tests.common import configuration
from train.common.data.types import Predictions, Report
from train.common.evaluation import explain
from train.common.evaluation.images import explained
from train.common.evaluation.operating import points, rates, with_points

SIDE = 16


def overlapping(seed: int, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of two classes that overlap."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    second = 1 / (1 + np.exp(-rng.normal(2 * labels - 1, 1.5)))
    return labels, np.stack([1 - second, second], axis=1)


def test_the_threshold_of_validation_keeps_its_sensitivity_on_other_images() -> None:
    chosen = points(*overlapping(0), 0.95)
    on_validation, on_test = (rates(*overlapping(seed), chosen) for seed in (0, 1))
    for k in range(2):
        assert 0.95 <= on_validation[f"sensitivity_{k}"] < 0.951
        assert on_test[f"sensitivity_{k}"] == pytest.approx(0.95, abs=0.02)
        assert 0.2 < on_test[f"specificity_{k}"] < 0.95
    stricter = rates(*overlapping(1), points(*overlapping(0), 0.5))
    assert stricter["specificity_1"] > on_test["specificity_1"]


def test_a_class_without_validation_images_is_always_called() -> None:
    labels, probabilities = overlapping(0)
    assert points(labels[labels == 0], probabilities[labels == 0], 0.9)[1] == 0


def test_the_report_has_a_row_and_an_interval_for_each_class() -> None:
    settings: Any = configuration("+pipeline=train_vgg16ft", "metrics.bootstrap=50")
    labels, probabilities = overlapping(1, 300)
    frame = pd.DataFrame({"label": labels, "cluster": np.arange(300)})
    predictions = Predictions(frame, probabilities, tuple(settings.dataset.classes))
    bare = Report({}, {}, {})
    report = with_points(bare, predictions, points(*overlapping(0), 0.95), settings)
    assert len(report.tables["operating_points"]) == 2
    name = f"test_specificity_at_{settings.dataset.classes[1]}"
    assert report.scalars[f"{name}_low"] < report.scalars[name] < report.scalars[f"{name}_high"]
    assert with_points(bare, predictions, (), settings) is bare


def test_grad_cam_shows_the_surest_mistakes_then_the_surest_right_ones_of_each_class() -> None:
    given = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7], [0.45, 0.55], [0.99, 0.01]])
    frame = pd.DataFrame({"label": [0, 1, 1, 0, 1, 1]})
    predictions = Predictions(frame, given, ("no", "yes"))
    assert explained(predictions, 2).tolist() == [5, 3, 0, 2]
    assert explained(predictions, 0).tolist() == []


def test_the_maps_change_with_a_random_head_and_the_network_does_not() -> None:
    import keras

    keras.utils.set_random_seed(0)
    pixels = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="image")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(pixels)
    features = keras.layers.Conv2D(16, 3, activation="relu")(scaled)
    model = keras.Model(pixels, head(features, 2, hidden=8, dropout=0.2))
    before = model.get_weights()
    images = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3), np.uint8)
    targets = np.zeros(4, int)
    ours = explain.grad_cam(model, images, targets)
    other = explain.with_random_head(model, images, targets, seed=1)
    assert explain.similarity(ours, ours) == pytest.approx(1)
    assert explain.similarity(ours, other) < 0.9
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
