"""One small model goes the whole way, once: Keras, ONNX, MLflow, BentoML's store, HTTP."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets.common.images import READER, profile
from deploy.promote import promote
from models.unlikeness import Reference
from tests.common import configuration, new_store, pipelines
from tests.deploy import registry, tables
from tests.deploy.common import (
    CARD,
    FIRST,
    LIMITS,
    READ_SECONDS,
    SIDE,
    THRESHOLDS,
    WINDOW,
    Trained,
    encoded,
    frame,
    names,
)
from tests.deploy.tables import TrainedTable, trained_table
from tests.servers import free_port, running


@pytest.fixture(scope="session")
def frames() -> list[bytes]:
    """One generated frame of each class."""
    return [encoded(frame(label, 1)) for label in range(4)]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A registry whose champion, version 1, is wrong for 40 of its 400 test samples."""
    address = new_store(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with registry.looked_up_at(address):
        registry.add_version(
            address, registry.MODEL, tmp_path / "1", registry.PRODUCTION, registry.predicted(40)
        )
        told = promote(registry.MODEL, "1")
        assert "there was none before" in told
        assert "on the evidence of its own run: accuracy 0.900" in told
        yield address


MADE: dict[str, Any] = {}
"""The models of `trained` and `table`, made once: `tests/reliability` has these fixtures too."""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    if "trained" not in MADE:
        MADE["trained"] = logged(FIRST, tmp_path_factory)
    return MADE["trained"]


def logged(
    deployment: str, tmp_path_factory: pytest.TempPathFactory, judging: bool = False
) -> Trained:
    """Random weights, exported and logged as a training does; the second version's run goes on.

    With `judging` it has the thresholds `THRESHOLDS`, unlikeness and a profile; without, it is as
    the models of older trainings are.
    """
    import keras
    import mlflow

    from models.common import export_onnx
    from train.common.tracking.cards import log_card
    from train.common.tracking.register import log_models

    keras.utils.set_random_seed(0)

    name = names(deployment)["MODEL"]
    config = training(name)
    folder = tmp_path_factory.mktemp("registry")
    build = importlib.import_module(f"models.{config.model.name}.model").build
    classes = len(config.dataset.classes)
    model = build(config.model, classes)
    drawn = [frame(number % classes, number, config.dataset.name) for number in range(12)]
    pixels = np.stack([np.asarray(image.resize((SIDE, SIDE))) for image in drawn])
    _spread(model, pixels)
    onnx = folder / "model.onnx"
    reference = reference_of(model, config) if judging else None
    export_onnx(model, onnx, reference)
    metadata = {
        "classes": list(config.dataset.classes),
        "image_size": SIDE,
        "reader": READER,
        "dicom_window": list(WINDOW),
        "data_digest": "d" * 64,
    } | (judged(model, reference, config) if reference else {})
    uri = new_store(folder)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        experiment = mlflow.create_experiment(
            f"{config.model.name}/{config.dataset.name}", f"file://{folder}/artifacts"
        )
        tags = {"git_revision": "a" * 40, "pipeline": f"train_{config.model.name}"}
        tags |= {"env": "production", "promotion": "allowed"}
        with mlflow.start_run(experiment_id=experiment, tags=tags) as run:
            log_models(model, onnx, config, metadata)
            log_card(CARD)
        client = mlflow.MlflowClient()
        unfinished = client.create_run(experiment).info.run_id
        source = client.get_model_version(name, "1").source
        client.create_model_version(name, source, unfinished)
    finally:
        mlflow.set_tracking_uri(before)
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": uri,
        "BENTOML_HOME": str(tmp_path_factory.mktemp("bentoml")),
        "BENTOML_DO_NOT_TRACK": "true",
    }
    return Trained(deployment, model, onnx, run.info.run_id, unfinished, environment, reference)


def judged(model: Any, reference: Reference, config: Any) -> dict[str, Any]:
    """The metadata of a model that judges: thresholds, and the profile of 80 generated frames."""
    from models.common import PROBABILITIES, UNLIKENESS, serving_model

    drawn = [frame(n % 4, 1000 + n, config.dataset.name) for n in range(80)]
    pixels = np.stack([np.asarray(image.resize((SIDE, SIDE))) for image in drawn])
    given = serving_model(model, reference).predict(pixels, verbose=0)
    answers = given[PROBABILITIES], given[UNLIKENESS]
    found = profile(THRESHOLDS, config.dataset.classes, *answers)
    assert found
    return {"abstention": THRESHOLDS.metadata(), "drift": found.metadata()}


def reference_of(model: Any, config: Any) -> Reference:
    """The reference of unlikeness of 40 generated frames."""
    import keras

    from models.unlikeness import fit, frozen_layers, pooled

    drawn = [frame(n % 4, 100 + n, config.dataset.name) for n in range(40)]
    pixels = np.stack([np.asarray(image.resize((SIDE, SIDE))) for image in drawn])
    layers = frozen_layers(model, config.model.unlike, config.model.freeze)
    features = keras.Model(model.input, pooled(model, layers)).predict(pixels, verbose=0)
    return fit(layers, features)


def training(name: str) -> Any:
    """The configuration of the training of the model registered as `name`, small."""
    for pipeline in pipelines(task="train"):
        config = configuration(f"+pipeline={pipeline}", "env=development")
        if f"{config.model.name}-{config.dataset.name}" == name:
            small = ("model.weights=none", f"model.image_size={SIDE}")
            return configuration(f"+pipeline={pipeline}", *small)
    raise LookupError(f"no pipeline trains {name}")


def _spread(model: Any, pixels: np.ndarray) -> None:
    """Give the head weights with which different images get clearly different answers."""
    import keras

    rng = np.random.default_rng(3)
    pooled = keras.Model(model.input, model.get_layer("pool").output).predict(pixels, verbose=0)
    hidden = rng.normal(size=model.get_layer("hidden").kernel.shape)
    reach = pooled @ hidden  # (images, hidden)
    scale = reach.std(axis=0) + 1e-12
    model.get_layer("hidden").set_weights([hidden / scale, -reach.mean(axis=0) / scale + 0.1])
    seen = np.maximum((reach - reach.mean(axis=0)) / scale + 0.1, 0)
    mean = seen.mean(axis=0)
    last = rng.normal(size=model.get_layer("probabilities").kernel.shape)
    last -= np.outer(mean, mean @ last) / (mean @ mean)  # no class is ahead for every image
    last /= (seen @ last).std(axis=0)
    model.get_layer("probabilities").set_weights([last, np.zeros(last.shape[1])])


@pytest.fixture(scope="session")
def service(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(trained, tmp_path_factory) as address:
        yield address


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> TrainedTable:
    if "table" not in MADE:
        MADE["table"] = trained_table(tmp_path_factory)
    return MADE["table"]


@pytest.fixture(scope="session")
def table_service(table: TrainedTable, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `deploy/serve.py` for the table, with limits that tests can reach."""
    log, port = tmp_path_factory.mktemp("serve") / "serve.log", free_port()
    environment = table.environment | {f"SONDA_{k}": str(v) for k, v in tables.LIMITS.items()}
    command = ["deploy/serve.py", "--deployment", tables.DEPLOYMENT, "--port", str(port)]
    with running(command, port, "/readyz", environment, log) as server:
        yield server.address
    text = log.read_text()
    assert "Traceback" not in text, text[-3000:]


@contextmanager
def serving(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `make serve`, with limits that tests can reach."""
    log, port = tmp_path_factory.mktemp("serve") / "serve.log", free_port()
    limits = LIMITS | {"READ_SECONDS": READ_SECONDS}
    environment = trained.environment | {f"SONDA_{k}": str(v) for k, v in limits.items()}
    command = ["deploy/serve.py", "--deployment", trained.deployment, "--port", str(port)]
    with running(command, port, "/readyz", environment, log) as server:
        yield server.address
    text = log.read_text()
    assert "challenger, as there is no champion" in text
    assert server.address in text
    assert "Traceback" not in text, text[-3000:]
