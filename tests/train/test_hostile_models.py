"""A model in MLflow is not believed: whatever it holds, nothing of it runs.

Each hostile model would write a canary file when MLflow's own loader reads it, and is registered
as a training's model is.
"""

import contextlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import mlflow
import numpy as np
import pytest
import yaml
from sklearn.dummy import DummyClassifier
from sklearn.preprocessing import FunctionTransformer

from conf.errors import UserError
from datasets.common.images import READER
from models.tables import TRUSTED
from tests.common import configuration, log_smallest, new_store
from train.common.tracking.load import (
    Registered,
    fetch_keras,
    fetch_model,
    fetch_sklearn,
    registered,
)
from train.common.tracking.register import log_keras

TABLE = ["+pipeline=predict_treesurvival", "predict.input=a", "predict.output=b"]


class Payload:
    """Unpickled, it writes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.canary}'",)


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Iterator[str]:
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(new_store(tmp_path))
    mlflow.set_experiment(
        experiment_id=mlflow.create_experiment("hostile", f"file://{tmp_path}/artifacts")
    )
    yield mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(before)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


def table_model(folder: Path, **changed: Any) -> Path:
    """A model of tables as MLflow stores it, whose description is `changed`; not yet logged."""
    mlflow.sklearn.save_model(
        DummyClassifier().fit([[0.0], [1.0]], [0, 1]),
        folder,
        serialization_format="skops",
        skops_trusted_types=list(TRUSTED),
        pip_requirements=["skops"],
        metadata={"classes": ["a", "b"], "schema": {"properties": {}}},
    )
    return described(folder, "sklearn", **changed)


def keras_model(folder: Path, model: Any) -> Path:
    mlflow.tensorflow.save_model(model, folder, pip_requirements=["keras"])
    return folder


def described(folder: Path, flavor: str, **changed: Any) -> Path:
    path = folder / "MLmodel"
    description = yaml.safe_load(path.read_text())
    description["flavors"][flavor] |= changed
    path.write_text(yaml.safe_dump(description))
    return folder


def logged(folder: Path, name: str) -> Registered:
    """The model in `folder` as `name` of a finished run."""
    with mlflow.start_run() as run:
        model = mlflow.initialize_logged_model(name, source_run_id=run.info.run_id)
        mlflow.tracking.MlflowClient().log_model_artifacts(model.model_id, str(folder))
        mlflow.finalize_logged_model(model.model_id, "READY")
    uri = f"models:/{model.model_id}"
    return Registered("x-y", "1", uri, run.info.run_id, {}, {})


def through_mlflow(uri: str) -> None:
    """What reading it by MLflow's own loader does, which is what the canary is there for."""
    with contextlib.suppress(Exception):  # it has run by then
        mlflow.pyfunc.load_model(uri)


@pytest.mark.parametrize("form", ["pickle", "cloudpickle"])
def test_a_pickled_pipeline_is_refused_by_name_and_never_read(
    form: str, tmp_path: Path, canary: Path
) -> None:
    folder = table_model(tmp_path / "model", serialization_format=form, pickled_model="model.pkl")
    described(folder, "python_function", model_path="model.pkl")
    (folder / "model.pkl").write_bytes(cloudpickle.dumps(Payload(canary)))
    model = logged(folder, "serving")
    with pytest.raises(UserError, match=rf"is refused: it is stored as {form}, which runs code"):
        fetch_sklearn(model)
    assert not canary.exists()
    through_mlflow(model.uri)
    assert canary.exists(), "the payload does nothing, so nothing was shown"


def test_a_skops_file_cannot_bring_its_own_list_of_trusted_types(
    tmp_path: Path, canary: Path
) -> None:
    import skops.io

    hostile = FunctionTransformer(os.system, validate=False)
    folder = table_model(
        tmp_path / "model", skops_trusted_types=["posix.system", "os.system", *TRUSTED]
    )
    (folder / "model.skops").write_bytes(skops.io.dumps(hostile))
    model = logged(folder, "serving")
    with pytest.raises(UserError, match=r"is refused: skops .*posix\.system"):
        fetch_sklearn(model)
    theirs = mlflow.sklearn.load_model(model.uri)  # MLflow builds what would run a command
    theirs.transform(f"touch '{canary}'")
    assert canary.exists(), "the payload does nothing, so nothing was shown"


def test_a_keras_model_with_a_lambda_is_refused(tmp_path: Path, canary: Path) -> None:
    import keras

    pixels = keras.Input((2,))

    def touched(x: Any) -> Any:
        canary.touch()
        return x

    code = keras.layers.Lambda(touched, output_shape=(2,))
    folder = keras_model(tmp_path / "model", keras.Model(pixels, code(pixels)))
    canary.unlink(missing_ok=True)  # building it may have written one
    model = logged(folder, "keras")
    with pytest.raises(UserError, match="is refused: Keras does not read it in safe mode"):
        fetch_keras(model)
    assert not canary.exists()


def test_a_keras_model_cannot_name_functions_of_other_modules(tmp_path: Path, canary: Path) -> None:
    import keras

    pixels = keras.Input((2,))
    folder = keras_model(
        tmp_path / "model", keras.Model(pixels, keras.layers.Dense(1, name="last")(pixels))
    )
    path = folder / "data" / "model.keras"
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    layer = next(each for each in config["config"]["layers"] if each["config"]["name"] == "last")
    layer |= {"module": "subprocess", "class_name": "Popen", "registered_name": None}
    layer["config"] = {"args": ["touch", str(canary)]}
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(UserError, match="is refused: Keras does not read it in safe mode"):
        fetch_keras(logged(folder, "keras"))
    assert not canary.exists()


@pytest.mark.parametrize("name", ["custom_objects", "global_custom_objects"])
def test_pickled_custom_objects_beside_a_keras_model_are_refused(
    name: str, tmp_path: Path, canary: Path
) -> None:
    import keras

    pixels = keras.Input((2,))
    folder = keras_model(tmp_path / "model", keras.Model(pixels, keras.layers.Dense(1)(pixels)))
    (folder / "data" / f"{name}.cloudpickle").write_bytes(cloudpickle.dumps(Payload(canary)))
    model = logged(folder, "keras")
    with pytest.raises(UserError, match=rf"is refused: it holds data/{name}\.cloudpickle"):
        fetch_keras(model)
    assert not canary.exists()
    through_mlflow(model.uri)
    assert canary.exists(), "the payload does nothing, so nothing was shown"


def test_a_model_that_brings_code_is_refused(tmp_path: Path, canary: Path) -> None:
    folder = table_model(tmp_path / "model")
    (folder / "code").mkdir()
    (folder / "code" / "hostile.py").write_text(
        f"open({str(canary)!r}, 'w').close()\ndef _load_pyfunc(path): ...\n"
    )
    described(folder, "python_function", code="code", loader_module="hostile")
    model = logged(folder, "serving")
    with pytest.raises(UserError, match="is refused: it brings code of its own, code"):
        fetch_sklearn(model)
    assert not canary.exists()
    through_mlflow(model.uri)
    assert canary.exists(), "the payload does nothing, so nothing was shown"


def test_another_flavour_is_refused_by_name(tmp_path: Path, canary: Path) -> None:
    class Hostile(mlflow.pyfunc.PythonModel):
        def predict(self, model_input: list[str]) -> list[str]:
            return model_input

    mlflow.pyfunc.save_model(
        tmp_path / "model", python_model=Hostile(), pip_requirements=["mlflow"]
    )
    (tmp_path / "model" / "python_model.pkl").write_bytes(cloudpickle.dumps(Payload(canary)))
    model = logged(tmp_path / "model", "serving")
    for fetch in (fetch_sklearn, fetch_model):
        with pytest.raises(UserError, match=r"is refused: expected .*, found python_function"):
            fetch(model)
    assert not canary.exists()


def test_a_file_that_was_changed_after_the_training_is_refused_by_name(tmp_path: Path) -> None:
    import keras

    pixels = keras.Input((2,))
    with mlflow.start_run() as run:
        log_keras(keras.Model(pixels, keras.layers.Dense(1)(pixels)), {})
    model = Registered("x-y", "1", "", run.info.run_id, {}, {})
    fetch_keras(model)
    [stored] = tmp_path.rglob("artifacts/data/model.keras")
    stored.write_bytes(stored.read_bytes() + b" ")
    reason = "data/model.keras is not the file that its training recorded"
    with pytest.raises(UserError, match=f"is refused: {reason}"):
        fetch_keras(model)


def test_models_as_trainings_log_them_are_read(tmp_path: Path, store: str) -> None:
    import keras

    pipeline = fetch_sklearn(logged(table_model(tmp_path / "table"), "serving"))
    assert pipeline.predict([[0.0]]).shape == (1,)
    pixels = keras.Input((2,))
    built = keras.Model(pixels, keras.layers.Dense(1)(pixels))
    read = fetch_keras(logged(keras_model(tmp_path / "keras", built), "keras"))
    np.testing.assert_array_equal(read.get_weights()[0], built.get_weights()[0])
    facts = {"classes": ["a", "b"], "image_size": 32, "reader": READER}
    run = log_smallest(store, tmp_path / "onnx", metadata=facts)
    given = configuration("+pipeline=predict_resnet50v2ft", "predict.input=a", "predict.output=b")
    file = fetch_model(registered(given, f"runs:/{run}/serving"))
    assert file.name == "model.onnx" and file.is_file()
    shutil.rmtree(file.parent)
