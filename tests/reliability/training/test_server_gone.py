"""A tracking server that goes away in mid-training and comes back: nothing is lost."""

import os
import signal
import time
from pathlib import Path

import mlflow
import pytest

from tests.servers import free_port
from tests.train.conftest import FEW_LAYERS, finish, mlflow_server, start

PATIENCE_SECONDS = 300
EPOCHS = 12


@pytest.mark.slow
def test_metrics_of_an_absence_arrive_and_the_run_ends_well(tmp_path: Path) -> None:
    port, command = free_port(), [*FEW_LAYERS, f"fit.finetune.epochs={EPOCHS - 1}"]
    (tmp_path / "server").mkdir()
    with mlflow_server(tmp_path / "server", port=port) as uri:
        process = start(uri, tmp_path, *command, MLFLOW_HTTP_REQUEST_MAX_RETRIES="7")
        wait_for_an_epoch(tmp_path, process.poll)
    # Gone, until an epoch has ended without it.
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if "did not take the metrics of epoch" in line:
            break
    with mlflow_server(tmp_path / "server", port=port) as uri:
        status, output = finish(process)
        assert status == 0, "".join(lines) + output
        client = mlflow.MlflowClient(uri)
        [run] = client.search_runs([client.get_experiment_by_name("vgg16ft/kidney2").experiment_id])
        assert run.info.status == "FINISHED"
        for name in ("loss", "val_loss"):
            history = client.get_metric_history(run.info.run_id, name)
            assert [metric.step for metric in history] == list(range(1, EPOCHS + 1))


def wait_for_an_epoch(folder: Path, poll) -> None:
    limit = time.monotonic() + PATIENCE_SECONDS
    while not list(folder.glob("cache/checkpoints/*/history.json")):
        assert poll() is None
        assert time.monotonic() < limit
        time.sleep(0.05)


@pytest.mark.slow
def test_a_run_whose_process_died_is_closed_by_the_next(server: str, tmp_path: Path) -> None:
    command = ["+pipeline=dataset_treesurvival", "env=development", "dataset.sample_rows=200"]
    client = mlflow.MlflowClient(server)
    process = start(server, tmp_path, *command, entry="datasets")
    limit = time.monotonic() + PATIENCE_SECONDS
    while not (locks := list(tmp_path.glob("cache/runs/*/*"))):
        assert process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    [dead] = [path.name for path in locks]
    assert client.get_run(dead).info.status == "RUNNING"  # nobody could tell the server

    other = start(server, tmp_path / "other", *command, entry="datasets")
    assert finish(other)[0] == 0
    assert client.get_run(dead).info.status == "RUNNING"  # of another cache: perhaps another host

    status, output = finish(start(server, tmp_path, *command, entry="datasets"))
    assert status == 0, output
    assert f"the process of run {dead} has died: the run is marked KILLED" in output
    assert client.get_run(dead).info.status == "KILLED"
    assert not list(tmp_path.glob("cache/runs/*/*"))
