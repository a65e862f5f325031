"""Hydra's own `--multirun` with launchers that start other processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.common import ROOT

TABLE = ["+pipeline=train_treesurvival", "+debug=fast", "metrics.folds=0", "metrics.permutations=1"]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_launcher_trains_in_its_own_processes(launcher: str, tmp_path: Path) -> None:
    # The store is empty, and both processes make its tables: one has to wait for the other.
    command = [
        sys.executable, "-m", "train", "--multirun", *TABLE, "seed=0,1",
        f"hydra/launcher={launcher}", f"hydra.sweep.dir={tmp_path}/out",
        f"env.cache={tmp_path}/cache",
    ]  # fmt: skip
    secret = "correct-horse-battery"  # pragma: allowlist secret
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    done = subprocess.run(
        [
            *command, f"+dataset.titles.survived={secret}",
            f"dataset.path=https://me:{secret}@localhost/a.csv",
        ],
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for number in range(2):
        folder = tmp_path / "out" / str(number)
        assert "the model is right for" in (folder / "report.html").read_text().lower()
        assert f"seed={number}" in (folder / ".hydra" / "overrides.yaml").read_text()
        written = [path for path in folder.rglob("*") if path.is_file()]
        assert not [path for path in written if secret in path.read_text(errors="ignore")]
