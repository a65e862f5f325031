"""A training that is killed at random moments ends as an unbroken one, and leaves nothing behind.

`SONDA_KILLS=30 make test-all ARGS=tests/reliability/training/test_kills.py` is the long run.
"""

import os
import random
import subprocess
import time
from pathlib import Path

import mlflow
import numpy as np
import pytest

from tests.train.conftest import FEW_LAYERS, finish, start

KILLS = int(os.environ.get("SONDA_KILLS", "3"))
EXPERIMENT = "vgg16ft/kidney2"
FIRST_SECONDS = 3.0
"""Before that, Python is still reading modules."""
TOLERANCE = 1e-5
"""Kernels split sums over threads in an order that varies: float32, after a few updates."""


def runs(client: mlflow.MlflowClient) -> list[mlflow.entities.Run]:
    found = client.get_experiment_by_name(EXPERIMENT)
    return list(client.search_runs([found.experiment_id])) if found else []


def figures(run: mlflow.entities.Run) -> dict[str, float]:
    """The metrics of `run` without the durations."""
    return {name: v for name, v in run.data.metrics.items() if not name.startswith("seconds")}


@pytest.mark.slow
@pytest.mark.timeout(600 + 120 * KILLS)
def test_a_training_killed_at_random_moments_ends_as_an_unbroken_one(
    server: str, tmp_path: Path
) -> None:
    client = mlflow.MlflowClient(server)
    began = time.monotonic()
    status, output = finish(start(server, tmp_path / "unbroken", *FEW_LAYERS))
    seconds = time.monotonic() - began
    assert status == 0, output
    unbroken = runs(client)[0]
    before = {run.info.run_id for run in runs(client)}

    seed = random.SystemRandom().randrange(2**32)
    moments = random.Random(seed)
    killed = []
    for _ in range(KILLS):
        process = start(server, tmp_path / "killed", *FEW_LAYERS)
        moment = moments.uniform(FIRST_SECONDS, seconds)
        try:
            process.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            killed.append(round(moment, 1))
        else:
            assert process.returncode == 0
    status, output = finish(start(server, tmp_path / "killed", *FEW_LAYERS))
    assert status == 0, f"seed {seed}, killed after {killed} s: {output}"

    mine = [run for run in runs(client) if run.info.run_id not in before]
    assert mine[0].info.status == "FINISHED"
    states = {run.info.status for run in mine}
    assert states <= {"FINISHED", "KILLED"}, f"seed {seed}: {states}"
    expected, got = figures(unbroken), figures(mine[0])
    assert got.keys() == expected.keys()
    off = {
        n: (got[n], expected[n]) for n in got if not np.isclose(got[n], expected[n], 0, TOLERANCE)
    }
    assert off == {}, f"seed {seed}, killed after {killed} s"
    assert not list((tmp_path / "killed").rglob(".draft-*"))
    print(f"{len(killed)} kills, {len(got)} metrics equal, no run left running")
