"""The profile that a service compares its predictions with is that of the registered model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datasets.common.images import Profile, verdicts
from models.common import PROBABILITIES
from tests.common import configuration
from tests.train.test_publish import CLASSES, model, splits, tracking  # noqa: F401
from train.common.data.types import Splits, TrainedModel
from train.common.export.images import export
from train.common.fitting.calibrate import calibrate

IMAGES = 48
"""Validation images: the 24 of the set, each twice."""
NO_UNLIKENESS = "abstention.enabled=false"
INT8 = ("publish.precision=int8", "publish.max_accuracy_loss=1")


def registered(model: Any, splits: Splits, *overrides: str) -> dict[str, Any]:  # noqa: F811
    """The metadata of the model that a training registers."""
    import mlflow

    settings = configuration("+pipeline=train_resnet50v2ft", NO_UNLIKENESS, *overrides)
    trained = TrainedModel(model, pd.DataFrame(), 1, lambda: None)
    export(calibrate(trained, splits, settings), splits, settings)
    found = mlflow.models.get_model_info("models:/resnet50v2ft-kvasir4@challenger").metadata
    assert found
    return dict(found)


@pytest.mark.parametrize("overrides", [(), INT8], ids=["float32", "int8"])
def test_the_registered_model_gives_the_counts_of_its_profile(
    model: Any,  # noqa: F811
    splits: Splits,  # noqa: F811
    tracking: None,  # noqa: F811
    tmp_path: Path,
    overrides: tuple[str, ...],
) -> None:
    import mlflow

    twice = replace(splits, validation=np.arange(IMAGES) % 24)
    known = Profile.of(registered(model, twice, *overrides)["drift"])
    assert known and known.counts.images == IMAGES
    serving = mlflow.pyfunc.load_model("models:/resnet50v2ft-kvasir4@challenger")
    answers = serving.predict(splits.data.read(twice.validation))[PROBABILITIES]
    again = known.count(known.rows(answers, None, verdicts(None, CLASSES, answers, None)))
    np.testing.assert_array_equal(again.classes, known.counts.classes)
    moved = np.abs(again.cells - known.counts.cells).sum() / 2
    assert moved <= 1  # a confidence beside an edge may be rounded to its other side


def test_few_validation_images_give_no_profile(
    model: Any,  # noqa: F811
    splits: Splits,  # noqa: F811
    tracking: None,  # noqa: F811
) -> None:
    assert "drift" not in registered(model, splits)
