"""One small model goes the whole way, once: Keras, ONNX, MLflow, BentoML's store, HTTP."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from tests.common import ROOT, composed
from tests.deploy.common import (
    LIMITS,
    MODEL,
    READ_SECONDS,
    SIDE,
    Trained,
    encoded,
    frame,
    free_port,
)

START_SECONDS = 180


@pytest.fixture(scope="session")
def frames() -> list[bytes]:
    """One generated frame of each class."""
    return [encoded(frame(label, 1)) for label in range(4)]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Random weights, exported and logged as a training does; the second version's run goes on."""
    import mlflow

    from models.common import export_onnx
    from models.resnet50v2ft.model import build
    from train.common.run import log_models

    folder = tmp_path_factory.mktemp("registry")
    config = composed(
        "+pipeline=train_resnet50v2ft", "model.weights=none", f"model.image_size={SIDE}"
    )
    model = build(config.model, len(config.dataset.classes))
    pixels = np.stack([np.asarray(frame(label, 2).resize((SIDE, SIDE))) for label in range(4)])
    _spread(model, pixels)
    onnx = folder / "model.onnx"
    export_onnx(model, onnx)
    metadata = {
        "classes": list(config.dataset.classes),
        "image_size": SIDE,
        "data_digest": "d" * 64,
    }
    uri = f"sqlite:///{folder}/mlflow.db"
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        experiment = mlflow.create_experiment("resnet50v2ft/kvasir4", f"file://{folder}/artifacts")
        tags = {"git_revision": "a" * 40, "pipeline": "train_resnet50v2ft"}
        with mlflow.start_run(experiment_id=experiment, tags=tags) as run:
            log_models(model, onnx, pixels[:2], config, metadata)
        client = mlflow.MlflowClient()
        unfinished = client.create_run(experiment).info.run_id
        source = client.get_model_version(MODEL, "1").source
        client.create_model_version(MODEL, source, unfinished)
    finally:
        mlflow.set_tracking_uri(before)
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": uri,
        "BENTOML_HOME": str(tmp_path_factory.mktemp("bentoml")),
        "BENTOML_DO_NOT_TRACK": "true",
    }
    return Trained(model, onnx, run.info.run_id, unfinished, environment)


def _spread(model: Any, pixels: np.ndarray) -> None:
    """Give the head weights with which different images get clearly different answers."""
    import keras

    rng = np.random.default_rng(3)
    pooled = keras.Model(model.input, model.get_layer("pool").output).predict(pixels, verbose=0)
    hidden = rng.normal(size=model.get_layer("hidden").kernel.shape)
    reach = pooled @ hidden  # (images, hidden)
    scale = reach.std(axis=0) + 1e-12
    model.get_layer("hidden").set_weights([hidden / scale, -reach.mean(axis=0) / scale + 0.1])
    shape = model.get_layer("probabilities").kernel.shape
    model.get_layer("probabilities").set_weights([rng.normal(size=shape) / 2, np.zeros(shape[1])])


@pytest.fixture(scope="session")
def service(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `make serve`, with limits that tests can reach."""
    log = tmp_path_factory.mktemp("serve") / "serve.log"
    port = free_port()
    limits = LIMITS | {"READ_SECONDS": READ_SECONDS}
    environment = trained.environment | {f"SONDA_{k}": str(v) for k, v in limits.items()}
    with log.open("w") as file:
        server = subprocess.Popen(
            [sys.executable, "deploy/serve.py", "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(address, server, log)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)
    text = log.read_text()
    assert "challenger, as there is no champion" in text
    assert address in text
    assert "Traceback" not in text, text[-3000:]


def _wait_until_ready(address: str, server: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            if requests.get(f"{address}/readyz", timeout=5).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.2)
    pytest.fail(f"the service did not get ready:\n{log.read_text()[-3000:]}")
