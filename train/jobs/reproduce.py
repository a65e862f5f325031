"""Train a run again from its revision, and compare: `make reproduce RUN=<id>`.

    python -m train.jobs.reproduce --run <id> --tolerance 0.005

```mermaid
flowchart LR
    run["run in MLflow"] --> tree["git worktree<br/>of its revision"]
    tree --> lock["Pipfile.lock<br/>is that of the run"]
    lock --> train["python -m train<br/>with its overrides"]
    train --> data["digest of the data<br/>is that of the run"] --> table["metrics, side by side"]
```

The new run has an empty cache and its own MLflow store, so it neither reuses files of the first run
nor registers a model with the group. On the same kind of CPU the metrics are equal to the last
digit; other CPUs round differently, and a few predictions change.
"""

import argparse
import hashlib
import json
import math
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from conf.errors import UserError
from conf.redaction import HIDDEN
from train.common.tracking.past import Past, new_store, past

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 0.005
"""Largest accepted difference of a metric: half a point of accuracy."""
POLL_SECONDS = 0.5
COMPARED, ENDS = "test_", ("_low", "_high")
"""The metrics that are compared, by the beginning of their names; the ends of intervals are not."""


def main() -> None:
    """The command line: exit status 1 for a metric beyond the tolerance, and for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", required=True, help="id of a finished training")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE)
    given = parser.parse_args()
    uri = os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{ROOT}/mlflow.db")
    try:
        table = reproduce(past(given.run, uri))
    except UserError as error:
        sys.exit(f"error: {error}")
    print(table.to_string(index=False, float_format="{:.6f}".format))
    far = table.loc[~(table["difference"].abs() <= given.tolerance), "metric"].tolist()
    if far:
        sys.exit(
            f"not reproduced: {len(far)} of {len(table)} metrics differ by more than "
            f"{given.tolerance}: {', '.join(far[:5])}"
        )
    print(
        f"reproduced: the largest difference of {len(table)} metrics is "
        f"{table['difference'].abs().max():.2g}, at most {given.tolerance} is accepted"
    )


def reproduce(run: Past) -> pd.DataFrame:
    """Train `run` again, and return one row per metric: metric, first, again, difference.

    Raises `UserError` if code, lock or data of the run cannot be had, or the training fails.
    """
    revision, overrides = run.tags.get("git_revision", "unknown"), _overrides(run)
    if run.tags.get("git_dirty") != "false":
        raise UserError(
            f"run {run.run_id} was made from changed files (git_dirty="
            f"{run.tags.get('git_dirty')}), which no revision holds: commit, and train again"
        )
    with worktree(revision) as tree, tempfile.TemporaryDirectory() as scratch:
        python, folder = _environment(tree, run), Path(scratch)
        print(f"code and lock are those of run {run.run_id}: revision {revision}")
        words = [
            *overrides,
            *([] if run.fold is None else [f"split.fold={run.fold}"]),
            f"env.cache={folder}/cache",
            f"env.tracking_uri={new_store(folder, run.experiment)}",
        ]
        return compared(run.metrics, _train(python, tree, words, folder / "run", run))


def compared(first: dict[str, float], again: dict[str, float]) -> pd.DataFrame:
    """The test metrics of both: metric, first, again, difference (NaN if one of them lacks it)."""
    known = sorted(first.keys() | again.keys())
    names = [name for name in known if name.startswith(COMPARED) and not name.endswith(ENDS)]
    rows = [(name, first.get(name, math.nan), again.get(name, math.nan)) for name in names]
    table = pd.DataFrame(rows, columns=["metric", "first", "again"])
    return table.assign(difference=table["again"] - table["first"])


@contextmanager
def worktree(revision: str) -> Iterator[Path]:
    """A checkout of `revision` beside the repository's own, removed at the end."""
    with tempfile.TemporaryDirectory() as home:
        tree = Path(home, "revision")
        git = ["git", "-C", str(ROOT), "worktree"]
        added = subprocess.run(
            [*git, "add", "--detach", str(tree), revision],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if added.returncode:
            raise UserError(
                f"revision {revision} cannot be checked out ({added.stderr.strip()}): git fetch it"
            )
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=False)


def _environment(tree: Path, run: Past) -> Path:
    """The Python of the lock of `run`: this one, if the lock is the same, else a new one."""
    lock = hashlib.sha256((tree / "Pipfile.lock").read_bytes()).hexdigest()
    if lock != run.tags.get("lock_sha256"):
        raise UserError(
            f"Pipfile.lock of the revision is not the one of run {run.run_id}: it had "
            f"{run.tags.get('lock_sha256')}, the revision has {lock}"
        )
    if lock == hashlib.sha256((ROOT / "Pipfile.lock").read_bytes()).hexdigest():
        return Path(sys.executable)
    print("setting up the environment of the run's lock")
    if subprocess.run(["make", "setup"], cwd=tree, check=False).returncode:
        raise UserError("the environment of the run's lock cannot be set up: see above")
    return tree / ".venv" / "bin" / "python"


def _overrides(run: Past) -> list[str]:
    """The words of the command that made `run`, behind `python -m train`."""
    given = shlex.split(run.tags.get("overrides", ""))
    if not given:
        raise UserError(
            f"run {run.run_id} has no tag 'overrides': an earlier version of this repository, or a "
            "program, made it; repeat it by hand from its config.yaml"
        )
    if hidden := [each for each in given if HIDDEN in each]:
        raise UserError(
            f"the command of run {run.run_id} had a credential, which was not stored "
            f"({', '.join(hidden)}): repeat it by hand"
        )
    return given


def _train(
    python: Path, tree: Path, overrides: list[str], folder: Path, run: Past
) -> dict[str, float]:
    """The metrics of `python -m train` of the checkout `tree`.

    The working directory stays, so relative paths in `overrides` do. The training is stopped, with
    a `UserError`, as soon as it has read other data than `run`.
    """
    command = [str(python), "-P", "-m", "train", *overrides, f"hydra.run.dir={folder}"]
    data, checked = folder / "data.json", False
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(tree)}) as training:
        while (status := training.poll()) is None or not checked:
            if not checked and data.is_file():
                digest, first = json.loads(data.read_text())["digest"], run.tags["data_digest"]
                if digest != first:
                    training.terminate()
                    raise UserError(
                        f"the data are not those of run {run.run_id} (digest {digest[:16]}, and "
                        f"{first[:16]} then): get them back, for example by dvc checkout"
                    )
                print(f"the data are those of run {run.run_id}: digest {digest[:16]}")
                checked = True
            elif status is not None:
                break
            time.sleep(POLL_SECONDS)
    if status:
        raise UserError(f"the training failed (exit status {status}): see above")
    return json.loads((folder / "metrics.json").read_text())


if __name__ == "__main__":
    main()
