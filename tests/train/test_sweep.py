"""A sweep from the command line: killed, continued, reported, and its best evaluated once."""

import re
import signal
from pathlib import Path
from typing import Any

import mlflow
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tests.train.conftest import FEW_LAYERS, finish, start

SWEEP = [*FEW_LAYERS, "+sweep=quick", "sweep.trials=2", "seed=11"]
EPOCHS = 3
"""One of warm-up and two of fine-tuning."""
TRAINED = re.compile(r"epoch (\d), (?:warmup|finetune) \d of \d: accuracy")


def artifacts(client: mlflow.MlflowClient, run: Any) -> set[str]:
    folders = [found.path for found in client.list_artifacts(run.info.run_id)]
    inner = [found.path for found in client.list_artifacts(run.info.run_id, "tables")]
    return {*folders, *inner}


def until(process: Any, text: str, times: int) -> str:
    """What `process` prints until `text` has come so many times."""
    lines: list[str] = []
    while times:
        line = process.stdout.readline()
        assert line, "".join(lines)
        lines.append(line)
        times -= text in line
    return "".join(lines)


@pytest.mark.slow
def test_a_killed_sweep_continues_and_evaluates_its_best_once(server: str, tmp_path: Path) -> None:
    process = start(server, tmp_path, *SWEEP)
    before = until(process, "epoch 2, finetune", 2)  # of the second trial
    process.send_signal(signal.SIGKILL)
    before += process.communicate()[0]
    status, after = finish(start(server, tmp_path, *SWEEP))
    assert status == 0, after

    assert "trial 1 was killed; its training continues" in after
    assert "resuming after epoch" in after
    trained = TRAINED.findall(before) + TRAINED.findall(after)
    assert trained.count("1") == 2 and trained.count("3") == 2  # two trials, nothing else
    [path] = (tmp_path / "cache" / "sweeps").glob("*.journal")
    [study] = JournalStorage(JournalFileBackend(str(path))).get_all_studies()
    found = JournalStorage(JournalFileBackend(str(path))).get_all_trials(study._study_id)
    assert [each.state.name for each in found] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert found[1].params == found[2].params
    assert [len(each.intermediate_values) for each in (found[0], found[2])] == [EPOCHS, EPOCHS]
    assert found[2].user_attrs["activations"][0] == 0  # the first trial had stored them all

    mlflow.set_tracking_uri(server)
    client = mlflow.MlflowClient(server)
    [experiment] = client.search_experiments(filter_string="name = 'vgg16ft/kidney2'")
    runs = {
        run.info.run_id: run
        for run in client.search_runs([experiment.experiment_id], "params.seed = '11'")
    }
    parents = [r for r in runs.values() if r.info.run_name == "v1-development-sweep-quick"]
    assert sorted(run.info.status for run in parents) == ["FINISHED", "KILLED"]
    [parent] = [run for run in parents if run.info.status == "FINISHED"]
    children = [run for run in runs.values() if "mlflow.parentRunId" in run.data.tags]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    names = sorted(run.info.run_name.rpartition("-")[2] for run in children)
    assert names == ["trial0", "trial1", "trial2"]
    for run in [*children, parent]:
        assert "tables/predictions.csv" not in artifacts(client, run)
        assert not [name for name in run.data.metrics if name.startswith("test_")]
    assert "tables/validation.csv" in artifacts(client, runs[found[0].user_attrs["runs"][0]])
    assert parent.data.metrics["trials"] == 2

    [final] = [r for r in runs.values() if r not in [*parents, *children]]
    assert "test_accuracy" in final.data.metrics
    assert parent.data.tags["best_runs"] == final.data.tags["resumed_from"]
    [version] = client.search_model_versions(f"run_id = '{final.info.run_id}'")
    assert version.name == "vgg16ft-kidney2"
    for name in ("sweep.html", "report.html"):
        assert (tmp_path / "outputs" / name).exists()
    left = [path for path in (tmp_path / "cache" / "checkpoints").iterdir() if path.is_dir()]
    assert left == []

    status, again = finish(start(server, tmp_path, *SWEEP))
    assert status == 1
    assert f"the sweep quick is finished, and run {final.info.run_id} evaluated its best" in again
