"""A training that goes on from a registered model: which one, what is kept, what is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from conf.errors import UserError
from models.common import export_onnx
from models.cover import mask
from tests.common import configuration, new_store
from tests.train.test_fit import SIZE, build, toy
from train.common.data.types import Splits
from train.common.fitting.start import Start, initial_model
from train.common.tracking.load import load_keras
from train.common.tracking.log import Run
from train.common.tracking.origin import origin, pinned
from train.common.tracking.register import log_models

NAME = "resnet50v2ft-kvasir4"


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(new_store(folder))
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("toy", f"file://{folder}/store"))
    yield mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    made = toy(tmp_path_factory.mktemp("pixels"))
    made.data.frame["sha256"] = [f"{row:064x}" for row in range(len(made.data.frame))]
    return made


def configured(*overrides: str) -> Any:
    return configuration("+pipeline=train_resnet50v2ft", "model.freeze=frozen", *overrides)


def registered(splits: Splits, seed: int, folder: Path) -> tuple[str, Any]:
    """Run and Keras model of a new version, as a training registers it."""
    import keras

    keras.utils.set_random_seed(seed)
    model = build(configured().model, 2)
    parts = {"train": splits.train[:40], "test": splits.train[40:]}
    table = pd.concat(
        [splits.data.frame.iloc[rows].assign(split=name) for name, rows in parts.items()]
    )
    with mlflow.start_run() as run:
        mlflow.log_text(table.assign(file="x").to_csv(index=False), "data/splits.csv")
        export_onnx(model, folder / "model.onnx")
        facts = {"classes": list(splits.data.classes), "image_size": SIZE}
        log_models(model, folder / "model.onnx", configured(), facts)
    return run.info.run_id, model


@pytest.fixture(scope="module")
def versions(
    tracking: str, splits: Splits, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[str, Any]]:
    """Run and model of versions 1 and 2; the latter is the challenger."""
    return [registered(splits, seed, tmp_path_factory.mktemp("onnx")) for seed in (1, 2)]


def weights(model: Any) -> list[np.ndarray]:
    return [weight.numpy() for weight in model.weights if "seed" not in weight.path]


def begin(build: Any, splits: Splits, config: Any) -> Start:
    return initial_model(build, splits, config, Run(config))


def same(ours: Any, theirs: Any) -> list[bool]:
    """For each weight, whether two models have it in common."""
    pairs = zip(weights(ours), weights(theirs), strict=True)
    return [a.shape == b.shape and bool((a == b).all()) for a, b in pairs]


def test_a_version_an_alias_and_a_run_name_the_keras_model_of_their_run(
    versions: list[tuple[str, Any]], splits: Splits
) -> None:
    (first, old), (second, new) = versions
    named = {
        f"models:/{NAME}/1": (first, old),
        f"models:/{NAME}@challenger": (second, new),
        f"runs:/{first}/serving": (first, old),
        f"runs:/{second}": (second, new),
    }
    for uri, (run_id, model) in named.items():
        with mlflow.start_run() as run:
            start = begin(build, splits, configured(f"model.weights={uri}"))
        assert all(same(start.model, model)), uri
        tags = mlflow.get_run(run.info.run_id).data.tags
        assert tags["started_from_run"] == run_id
        assert tags["started_from_weights"] == start.digest
        assert tags["device"] == "1 x CPU"
    assert origin(f"models:/{NAME}@challenger").uri == f"models:/{NAME}/2"


def test_a_training_hides_what_it_says_whatever_it_starts_from(
    versions: list[tuple[str, Any]], splits: Splits
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    hiding = configured(f"model.weights=models:/{NAME}/1", "transform.hide_border=0.3")
    seen = mask(hiding.transform, SIZE)
    with mlflow.start_run():
        start = begin(build, splits, hiding)
        anew = begin(build, splits, configured("transform.hide_border=0.3"))
    _, theirs = versions[0]
    assert all(same(start.model, theirs))
    np.testing.assert_array_equal(start.model(pixels), theirs(pixels * seen))
    assert np.abs(start.model(pixels) - theirs(pixels)).max() > 0
    np.testing.assert_array_equal(anew.model(pixels), anew.model(pixels * seen))


def test_an_alias_is_pinned_to_its_version_before_anything_is_logged(
    versions: list[tuple[str, Any]], tmp_path: Path
) -> None:
    uri = mlflow.get_tracking_uri()
    named = configured(f"model.weights=models:/{NAME}@challenger", f"env.tracking_uri={uri}")
    assert pinned(named).model.weights == f"models:/{NAME}/2"
    unchanged = configured("model.weights=none")
    assert pinned(unchanged) is unchanged


def test_test_images_that_the_model_has_seen_are_counted_and_said(
    versions: list[tuple[str, Any]], splits: Splits
) -> None:
    from dataclasses import replace

    config = configured(f"model.weights=models:/{NAME}/1")
    with mlflow.start_run() as run:
        clean = begin(build, splits, config)
        assert len(clean.notes) == 1 and f"models:/{NAME}/1" in clean.notes[0]
        leaky = begin(build, replace(splits, test=splits.train[35:45]), config)
    assert "5 of the 10 test images were training or validation images" in leaky.notes[1]
    assert mlflow.get_run(run.info.run_id).data.tags["started_from_seen_test"] == "5"


def test_other_classes_keep_the_backbone_and_get_a_new_head(
    versions: list[tuple[str, Any]], splits: Splits, caplog: pytest.LogCaptureFixture
) -> None:
    from dataclasses import replace

    uri, model = f"models:/{NAME}/1", versions[0][1]
    for classes in (("bright", "dark"), ("dark", "bright", "green")):
        other = replace(splits, data=replace(splits.data, classes=classes))
        with mlflow.start_run():
            start = begin(build, other, configured(f"model.weights={uri}"))
        assert "the head, which is new: that model has the classes dark, bright" in caplog.text
        kept = {
            layer.name: all(same(layer, model.get_layer(layer.name)))
            for layer in start.model.layers
            if layer.name in ("frozen", "norm", "tail", "hidden", "probabilities")
        }
        assert kept == {
            "frozen": True, "norm": True, "tail": True, "hidden": False, "probabilities": False
        }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "model.hidden=5",
            r"layer hidden with weights \[\[8, 32\], \[32\]\], and here .*model\.hid",
        ),
        ("name", r"is a tiny, and this pipeline trains a other: name a version of a other"),
        ("layer", r"has 9 layers, and tiny has 10 in this revision: use that of its run"),
    ],
)
def test_another_network_is_refused_with_the_way_out(
    versions: list[tuple[str, Any]], splits: Splits, change: str, message: str
) -> None:
    import keras

    def other(config: Any, classes: int) -> Any:
        model = build(config, classes)
        if change == "name":
            return keras.Model(model.input, model.output, name="other")
        if change == "layer":
            return keras.Model(
                model.input, keras.layers.Dense(2, name="more")(model.output), name="tiny"
            )
        return model

    overrides = [change] if "=" in change else []
    config = configured(f"model.weights=models:/{NAME}/1", *overrides)
    with mlflow.start_run(), pytest.raises(UserError, match=message):
        begin(other, splits, config)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (f"models:/{NAME}/7", "cannot be found"),
        (f"models:/{NAME}@none", "cannot be found"),
        ("models:/nothing/1", "cannot be found"),
        ("runs:/0123456789/keras", "cannot be found"),
        (f"models:/{NAME}/latest", "expected models:/<name>/<version>"),
        (f"models:/{NAME}", "expected models:/<name>/<version>"),
    ],
)
def test_what_is_not_there_is_named_with_the_choices(
    versions: list[tuple[str, Any]], uri: str, message: str
) -> None:
    with pytest.raises(UserError, match=message) as error:
        origin(uri)
    assert uri in str(error.value) and "runs:/<run id>/keras" in str(error.value)


def test_a_run_without_a_keras_model_is_named(tracking: str) -> None:
    with mlflow.start_run() as run:
        pass
    with pytest.raises(UserError, match=rf"run {run.info.run_id} of .* logged no Keras model"):
        origin(f"runs:/{run.info.run_id}/keras")


def test_a_model_that_brings_code_is_refused(tracking: str) -> None:
    import keras

    pixels = keras.Input((4,))
    code = keras.Model(pixels, keras.layers.Lambda(lambda x: x + 1)(pixels))
    plain = keras.Model(pixels, keras.layers.Dense(1)(pixels))
    with mlflow.start_run():
        first = mlflow.tensorflow.log_model(code, name="keras", pip_requirements=["keras"])
        second = mlflow.tensorflow.log_model(
            plain, name="keras", pip_requirements=["keras"], custom_objects={"x": Path}
        )
    with pytest.raises(UserError, match=r"Keras does not read it in safe mode \(.*[Ll]ambda"):
        load_keras(first.model_uri)
    with pytest.raises(UserError, match=r"holds data/custom_objects\.cloudpickle, which run code"):
        load_keras(second.model_uri)
