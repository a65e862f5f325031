"""A real MLflow server on a real database, started for the tests and stopped by its process."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.security import generate_password_hash

from tests.common import ROOT, new_store
from tests.servers import free_port, running

if TYPE_CHECKING:
    from train.common.tracking.load import Registered

SMALL = [
    "env=development",
    "dataset.sample_images=20",
    "env.limits.image_size=32",
    "env.limits.pretrained_image_size=32",
    "fit.warmup.epochs=1",
    "fit.finetune.epochs=2",
    "fit.batch_size=16",
    "metrics.bootstrap=50",
]
"""Any image pipeline on 20 generated images of 32 pixels for each class."""
TINY = ["+pipeline=train_resnet50v2ft", *SMALL]
"""The whole pipeline on 80 images: 12, 4 and 4 of each class."""
FEW_LAYERS = ["+pipeline=train_vgg16ft", *SMALL]
"""The same on 40 images of two classes, in half the time: its graph is the fastest to trace."""


@contextmanager
def mlflow_server(
    folder: Path,
    password: str = "",
    port: int = 0,
    store: str = "",
    artifacts: str = "",
    more: dict[str, str] | None = None,
) -> Iterator[str]:
    """The address of a tracking server that keeps everything in `folder`, also for the next one.

    With the `password` of its user `admin` it has accounts: MLflow's own basic auth.
    """
    port = port or free_port()
    database = folder / "mlflow.db"
    if not store:
        store = f"sqlite:///{database}" if database.exists() else new_store(folder)
    command = [
        "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1", "--backend-store-uri", store,
        "--artifacts-destination", artifacts or str(folder / "artifacts"),
    ]  # fmt: skip
    # Its job runners are a handful of processes that no run here needs.
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"} | (more or {})
    if password:
        command += ["--app-name", "basic-auth"]
        environment |= {"MLFLOW_AUTH_ADMIN_PASSWORD": password}
        key = "of the form in which users sign up"
        environment |= {"MLFLOW_FLASK_SERVER_SECRET_KEY": key}
    with running(command, port, "/health", environment, folder / "server.log", folder) as started:
        if password:
            ease_password(folder / "basic_auth.db", password)
        yield started.address


def ease_password(database: Path, password: str) -> None:
    """Store the hash of `admin` with one round: the server checks it at each request, in 0.1 s."""
    hashed = generate_password_hash(password, "pbkdf2:sha256:1")
    with closing(sqlite3.connect(database)) as connection, connection:
        changed = connection.execute(
            "UPDATE users SET password_hash = ? WHERE username = 'admin'", (hashed,)
        )
        assert changed.rowcount == 1


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as uri:
        yield uri


@dataclass(frozen=True)
class Trained:
    """A finished run of `TINY`, its cache in `folder`."""

    run_id: str
    folder: Path


@pytest.fixture(scope="session")
def unbroken(server: str, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """One unbroken run of the first pipeline, for all who look at what it leaves."""
    folder = tmp_path_factory.mktemp("unbroken")
    status, output = finish(start(server, folder, *TINY))
    assert status == 0, output
    started = re.search(r"MLflow run (\w+) of experiment", output)
    assert started, output
    return Trained(started[1], folder)


@contextmanager
def model_of(run: Trained, settings: Any, server: str) -> Iterator["Registered"]:
    """The model of `run`, as a study with `settings` finds it on `server`."""
    import mlflow

    from train.common.tracking.load import registered

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(server)
    yield registered(settings, f"runs:/{run.run_id}/serving")
    mlflow.set_tracking_uri(before)


@contextmanager
def mounted(disk: Path, options: str) -> Iterator[None]:
    """A file system in memory at the new folder `disk`; without root the test is skipped."""
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip(f"a file system with {options} cannot be mounted here: root is needed")
    try:
        yield
    finally:
        subprocess.run(["umount", str(disk)], check=True)


STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def no_run_outlives_its_test() -> Iterator[None]:
    yield
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            process.kill()
            process.communicate()


def start(
    uri: str, folder: Path, *arguments: str, entry: str = "train", **environment: str
) -> subprocess.Popen[str]:
    """`python -m <entry>`, writing its cache and outputs to `folder`, on its way."""
    process = subprocess.Popen(
        [
            sys.executable, "-m", entry, *arguments,
            f"env.cache={folder}/cache", f"hydra.run.dir={folder}/outputs",
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "MLFLOW_TRACKING_URI": uri,
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    STARTED.append(process)
    return process


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status and output of `process`."""
    output, _ = process.communicate()
    return process.returncode, output
