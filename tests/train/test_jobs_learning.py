"""The study of a model has a learning curve, of frozen features of the run's own images."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.common import configuration
from tests.train.conftest import SMALL, Trained, model_of
from train.common.data.build import build_images
from train.common.tracking.load import Registered, fetch_keras, fetch_table
from train.jobs import pictures
from train.jobs.learning import learned

TRAINING = 48
"""Training images of the shared run."""


@pytest.fixture
def settings(server: str, unbroken: Trained) -> Any:
    given = [word for word in SMALL if word.startswith(("env", "dataset", "metrics"))]
    return configuration(
        "+pipeline=study_resnet50v2ft", *given, f"env.tracking_uri={server}",
        f"env.cache={unbroken.folder}/cache",
    )  # fmt: skip


@pytest.fixture
def model(settings: Any, unbroken: Trained, server: str) -> Iterator[Registered]:
    with model_of(unbroken, settings, server) as found:
        yield found


def test_the_curve_grows_to_all_training_images_of_the_run(
    model: Registered, settings: Any
) -> None:
    images = build_images(settings.dataset, Path(settings.env.cache))
    splits = fetch_table(model, "data/splits.csv")
    for file in splits.loc[splits["split"] == "test", "file"]:
        row = images.frame["file"] == file
        images.frame.loc[row, "label"] = -1  # to read a label of test would be an error
    found = learned(images, model, fetch_keras(model), settings)
    assert found is not None
    table, verdict = found
    assert table["share"].tolist() == [0.1, 0.2, 0.4, 0.7, 1.0]
    assert table["images"].is_monotonic_increasing and table["images"].iat[-1] == TRAINING
    assert (table["low"] <= table["high"]).all() and np.isfinite(table["value"]).all()
    assert table["value"].iat[-1] > 1 / len(images.classes)
    assert "of the training images, accuracy on validation changed by" in verdict
    [axes] = pictures.learning(table).axes
    assert axes.get_xlabel() == "training images"


def test_the_curve_can_be_left_out(model: Registered, settings: Any) -> None:
    images = build_images(settings.dataset, Path(settings.env.cache))
    none = replace(settings, study=replace(settings.study, curve=0))
    assert learned(images, model, fetch_keras(model), none) is None
