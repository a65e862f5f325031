"""A group's server: PostgreSQL, artifacts on S3, accounts. From production training to service."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.common import ROOT
from tests.reliability.training.backends import BUCKET, S3_ACCOUNT, client, postgresql, s3
from tests.servers import free_port, running
from tests.train.conftest import finish, mlflow_server, start
from tests.train.test_failures import photographs

pytestmark = pytest.mark.slow

PASSWORD = "sufficiently-long-1"  # pragma: allowlist secret
ACCOUNT = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": PASSWORD}
MODEL, DEPLOYMENT = "mobilenetv2ft-kvasir4", "mobilenetv2ft/V1"
PRODUCTION = [
    "+pipeline=train_mobilenetv2ft",
    "env=production",
    "dataset.source=directory",
    "split.by=cluster",
    "model.weights=none",
    "model.image_size=32",
    "fit.warmup.epochs=1",
    "fit.finetune.epochs=1",
    "fit.batch_size=16",
    "metrics.bootstrap=50",
]
IMAGES = 24
"""Images of each class."""


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3(tmp_path_factory.mktemp("s3")) as address:
        yield address


@pytest.fixture(scope="module")
def group(storage: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the tracking server."""
    folder = tmp_path_factory.mktemp("group")
    account = S3_ACCOUNT | {"MLFLOW_S3_ENDPOINT_URL": storage}
    with (
        postgresql() as store,
        mlflow_server(
            folder, PASSWORD, store=store, artifacts=f"s3://{BUCKET}/runs", more=account
        ) as address,
    ):
        yield address


def test_production_trains_registers_promotes_imports_and_serves(
    group: str, storage: str, tmp_path: Path
) -> None:
    data = photographs(tmp_path / "data", IMAGES)
    training = [*PRODUCTION, f"dataset.path={data}"]
    status, output = finish(start(group, tmp_path, *training, **ACCOUNT))
    assert status == 0, output
    assert re.search(rf"registered {MODEL} version 1", output)
    stored = client(storage).list_objects_v2(Bucket=BUCKET)["Contents"]
    names = {each["Key"].rpartition("/")[2] for each in stored}
    assert {"report.html", "predictions.csv", "model.onnx"} <= names

    environment = os.environ | ACCOUNT | {"MLFLOW_TRACKING_URI": group}
    environment |= {"BENTOML_HOME": str(tmp_path / "bentoml"), "BENTOML_DO_NOT_TRACK": "true"}
    promote = ["deploy/promote.py", "--model", MODEL, "--version", "1"]
    done = subprocess.run(
        [sys.executable, *promote], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    port = free_port()
    command = ["deploy/serve.py", "--deployment", DEPLOYMENT, "--port", str(port)]
    with running(command, port, "/readyz", environment, tmp_path / "log") as server:
        assert "version 1 (champion)" in (tmp_path / "log").read_text()
        image = next(data.rglob("*.png"))
        with image.open("rb") as file:
            answer = requests.post(f"{server.address}/predict", files={"image": file})
    assert answer.ok, answer.text
    assert answer.json()["model"]["version"] == "1"
