"""Two commands that meet: one after the other has registered a model, and both at once."""

import math
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Run

from tests.train.conftest import FEW_LAYERS, finish, start

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 300
CLOSE = 0.02
"""Between the validation loss of a model and that after an epoch with a tiny learning rate."""
FRESH = math.log(2)
"""The loss of a network that knows nothing of two classes."""


@pytest.fixture(scope="module")
def client(server: str) -> Iterator[mlflow.MlflowClient]:
    mlflow.set_tracking_uri(server)
    yield mlflow.MlflowClient(server)
    mlflow.set_tracking_uri("")


def run_of(client: mlflow.MlflowClient, output: str) -> Run:
    started = re.search(r"MLflow run (\w+) of experiment", output)
    assert started, output
    return client.get_run(started[1])


def test_a_training_goes_on_from_a_registered_version(
    server: str, client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    two = [*FEW_LAYERS, "fit.warmup.epochs=2", "fit.finetune.epochs=0"]
    # So large a rate leads far from where a fresh network starts, if not to where it learns.
    status, output = finish(start(server, tmp_path, *two, "fit.warmup.learning_rate=0.1"))
    assert status == 0, output
    first = run_of(client, output)
    [version] = client.search_model_versions(f"run_id='{first.info.run_id}'")
    uri = f"models:/{version.name}/{version.version}"
    given = [f"model.weights=models:/{version.name}@challenger"]
    status, output = finish(start(server, tmp_path, *two, *given, "fit.warmup.learning_rate=1e-7"))
    assert status == 0, output
    run = run_of(client, output)
    reached = min(m.value for m in client.get_metric_history(first.info.run_id, "val_loss"))
    [loss, _] = [m.value for m in client.get_metric_history(run.info.run_id, "val_loss")]
    assert loss == pytest.approx(reached, abs=CLOSE)
    assert abs(reached - FRESH) > 5 * CLOSE
    assert run.data.params["model.weights"] == uri
    assert run.data.tags["started_from"] == uri
    assert run.data.tags["started_from_run"] == first.info.run_id
    assert run.data.tags["started_from_seen_test"] == "0"
    page = (tmp_path / "outputs" / "report.html").read_text()
    assert f"started from {uri}, run {first.info.run_id}" in page


def test_the_second_of_two_runs_at_once_is_refused_and_the_first_ends_well(
    server: str, client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    command = [*FEW_LAYERS, "seed=5", "fit.finetune.epochs=1"]
    first = start(server, tmp_path, *command)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not list(tmp_path.glob("cache/checkpoints/*/history.json")):
        assert first.poll() is None and time.monotonic() < deadline, "no epoch was finished"
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGSTOP)  # so that it is in the middle for as long as we look
    try:
        status, output = finish(start(server, tmp_path, *command, f"hydra.run.dir={tmp_path}/2"))
        second = run_of(client, output)
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert status == 1, output
    assert "Traceback" not in output
    holder = re.search(rf"is in use by process {first.pid} on \S+, run (\w+), since ", output)
    assert holder, output
    status, output = finish(first)
    assert status == 0, output
    run = run_of(client, output)
    assert holder[1] == run.info.run_id
    assert (run.info.status, second.info.status) == ("FINISHED", "FAILED")
    assert "resumed_by" not in run.data.tags
    assert not list(tmp_path.glob("cache/checkpoints/*")), "a logged run leaves no checkpoints"
