"""`make reproduce`: a run again from its revision, or a message that says why not."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conf.errors import UserError
from tests.common import ROOT, new_store
from train.common.tracking.past import Past
from train.jobs.reproduce import compared, reproduce, worktree

REVISION = subprocess.run(
    ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
).stdout.strip()
COMMAND = "+pipeline=train_mobilenetv2ft +debug=fast env=development"
RUN = Past(
    "1234",
    "mobilenetv2ft/kvasir4",
    {
        "git_revision": REVISION, "git_dirty": "false", "overrides": COMMAND,
        "lock_sha256": "0" * 64, "data_digest": "0" * 64,
    },
    {},
    None,
)  # fmt: skip


def with_tags(**tags: str) -> Past:
    return replace(RUN, tags=RUN.tags | tags)


def test_a_metric_is_compared_with_itself_and_a_missing_one_is_not_equal() -> None:
    first = {"test_mcc": 0.5, "test_mcc_low": 0.1, "test_gone": 1.0, "val_loss": 3.0}
    table = compared(first, {"test_mcc": 0.75, "test_mcc_low": 0.9}).set_index("metric")
    assert table.index.tolist() == ["test_gone", "test_mcc"]
    assert table.loc["test_mcc", "difference"] == 0.25
    assert not abs(table.loc["test_gone", "difference"]) <= 1e9


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (with_tags(git_dirty="true"), "changed files"),
        (with_tags(overrides=""), "no tag 'overrides'"),
        (with_tags(overrides="+pipeline=x dataset.path=https://***@host/x"), "had a credential"),
        (with_tags(git_revision="0" * 40), "cannot be checked out"),
        (RUN, "Pipfile.lock of the revision is not the one of run 1234"),
    ],
    ids=["changed files", "no overrides", "a credential", "no such revision", "another lock"],
)
def test_what_cannot_be_reproduced_says_why(run: Past, reason: str) -> None:
    with pytest.raises(UserError, match=re.escape(reason)):
        reproduce(run)


def test_the_checkout_is_removed_after_a_failure() -> None:
    with pytest.raises(RuntimeError), worktree(REVISION) as tree:
        assert (tree / "train" / "__main__.py").is_file()
        raise RuntimeError
    assert not tree.exists()
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "worktree", "list"], capture_output=True, text=True, check=True
    ).stdout
    assert str(tree) not in listed


@pytest.mark.slow
def test_a_run_is_reproduced_to_the_last_digit_and_other_data_are_refused(tmp_path: Path) -> None:
    import mlflow

    changed = subprocess.run(
        ["git", "-C", str(ROOT), "status", "--porcelain"], capture_output=True, check=True
    ).stdout
    if changed:
        pytest.skip("files are changed: only a run of a revision can be reproduced")
    store = new_store(tmp_path)
    environment = os.environ | {"MLFLOW_TRACKING_URI": store}

    def run(*command: str) -> Any:
        return subprocess.run(
            [sys.executable, "-m", *command], cwd=ROOT, env=environment, check=False,
            capture_output=True, text=True,
        )  # fmt: skip

    trained = run(
        "train", *COMMAND.split(), f"env.tracking_uri={store}", f"env.cache={tmp_path}/cache",
        f"hydra.run.dir={tmp_path}/run",
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    (run_id,) = re.findall(r"MLflow run ([0-9a-f]{32})", trained.stdout + trained.stderr)
    done = run("train.jobs.reproduce", "--run", run_id, "--tolerance", "0")
    assert done.returncode == 0, done.stderr
    assert re.search(r"reproduced: the largest difference of \d+ metrics is 0,", done.stdout)

    mlflow.MlflowClient(store).set_tag(run_id, "data_digest", "0" * 64)
    refused = run("train.jobs.reproduce", "--run", run_id)
    assert refused.returncode == 1
    assert f"the data are not those of run {run_id}" in refused.stderr
