"""Two commands that meet: one after the other has registered a model, and both at once."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Run

from tests.train.conftest import TINY, Trained, finish, start

PATIENCE_SECONDS = 300
CLOSE = 0.02
"""Between the validation loss of a model and that after an epoch with a tiny learning rate."""


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
    server: str, client: mlflow.MlflowClient, unbroken: Trained, tmp_path: Path
) -> None:
    [version] = client.search_model_versions(f"run_id='{unbroken.run_id}'")
    uri = f"models:/{version.name}/{version.version}"
    given = [f"model.weights={uri}", "fit.warmup.learning_rate=1e-6", "fit.finetune.epochs=0"]
    status, output = finish(start(server, tmp_path, *TINY, *given))
    assert status == 0, output
    run = run_of(client, output)
    losses = [m.value for m in client.get_metric_history(unbroken.run_id, "val_loss")]
    [first] = [m.value for m in client.get_metric_history(run.info.run_id, "val_loss")]
    assert first == pytest.approx(min(losses), abs=CLOSE)
    assert abs(losses[0] - min(losses)) > 2 * CLOSE, "the first training learned too little"
    assert run.data.params["model.weights"] == uri
    assert run.data.tags["started_from"] == uri
    assert run.data.tags["started_from_run"] == unbroken.run_id
    assert run.data.tags["started_from_seen_test"] == "0"
    page = (tmp_path / "outputs" / "report.html").read_text()
    assert f"went on from {uri}, run {unbroken.run_id}" in page


def test_the_second_of_two_runs_at_once_is_refused_and_the_first_ends_well(
    server: str, client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    command = [*TINY, "seed=5", "fit.finetune.epochs=1"]
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
