"""A resumed training goes on from what is whole and from the same inputs, and runs alone."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conf.errors import UserError
from tests.common import ROOT
from tests.train import test_fit
from tests.train.test_fit import Heard, StoppedError, configured, fitted, toy, train
from train.common.data.types import Splits
from train.common.fitting import trainer as under_test
from train.common.fitting.checkpoint import HISTORY, Checkpoints

RUN = "this run"
PLAIN = "fit.cache=none"
"""What is stored of frozen layers has no part in it."""


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    return toy(tmp_path_factory.mktemp("pixels"))


def stopped(splits: Splits, cache: Path, *overrides: str) -> Path:
    """The folder of a training that was killed after two epochs."""
    with pytest.raises(StoppedError):
        fitted(splits, configured(cache, PLAIN, *overrides), stop_after=2)
    [folder] = (path for path in (cache / "checkpoints").iterdir() if path.is_dir())
    return folder


def resumes(splits: Splits, cache: Path, *overrides: str) -> bool:
    """Whether the training goes on from what is there; it is stopped after an epoch."""
    run = Heard(stop_after=1)
    with pytest.raises(StoppedError):
        train(splits, configured(cache, PLAIN, *overrides), run)
    return run.lines[0].startswith("resumed")


def changed(splits: Splits, **values: Any) -> Splits:
    return replace(splits, data=replace(splits.data, **values))


def test_a_corrected_label_starts_afresh_and_says_so(
    splits: Splits, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stopped(splits, tmp_path)
    table = splits.data.frame.copy()
    table.loc[3, "label"] = 1 - table.loc[3, "label"]
    assert not resumes(changed(splits, frame=table), tmp_path)
    assert f"starting afresh: run {RUN} was left unfinished" in caplog.text
    assert "the same settings, but other labels" in caplog.text
    assert resumes(splits, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["classes", "digest", "splits", "reader", "pixels", "weights"])
def test_other_inputs_start_afresh(
    splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    weights = tmp_path / "backbone.weights.h5"
    weights.write_bytes(b"one")
    given = f"model.weights={weights}"
    stopped(splits, tmp_path, given)
    other = splits
    if what == "classes":
        other = changed(splits, classes=("bright", "dark"))
    elif what == "digest":
        other = changed(splits, digest="1")
    elif what == "splits":
        other = replace(splits, digest="other")
    elif what == "reader":
        monkeypatch.setattr(under_test, "READER", under_test.READER + 1)
    elif what == "pixels":
        path = tmp_path / "other.npy"
        np.save(path, splits.data.load())
        other = changed(splits, pixels=path)
    else:
        weights.write_bytes(b"two")
    assert not resumes(other, tmp_path, given)


def test_another_graph_starts_afresh(
    splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(splits, tmp_path)
    monkeypatch.setattr(test_fit, "SCALE", 1 / 255)  # no weight, no setting tells of it
    assert not resumes(splits, tmp_path)


def test_a_torn_history_counts_as_absent(
    splits: Splits, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = stopped(splits, tmp_path)
    history = folder / HISTORY
    content = history.read_bytes()
    inputs = json.loads((folder / "inputs.json").read_text())

    def opened() -> Checkpoints:
        return Checkpoints(tmp_path, inputs, "val_loss")

    whole = opened()
    assert whole.folder == folder and len(whole.epochs) == 2
    whole.release()
    garbage = [b"\xff\xfe", b"[]", b"null", b'{"epochs": 3}', b'{"epochs": [1], "weights": {}}']
    for torn in [*(content[:length] for length in range(len(content))), *garbage]:
        history.write_bytes(torn)
        caplog.clear()
        with_torn = opened()
        assert with_torn.epochs == [] and with_torn.run_id is None, torn
        assert f"{history} is torn or damaged" in caplog.text
        with_torn.release()
    history.write_bytes(content)
    assert len(opened().epochs) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("torn", "resume"), [(b"", "true"), (b'{"run_id": "this', "false"), (b"\x00" * 300, "false")]
)
def test_a_training_starts_whatever_its_history_holds(
    splits: Splits, tmp_path: Path, torn: bytes, resume: str
) -> None:
    (stopped(splits, tmp_path) / HISTORY).write_bytes(torn)
    result, told = fitted(splits, configured(tmp_path, PLAIN, f"fit.resume={resume}"))
    assert told == [f"epoch {number}" for number in range(1, 6)]
    assert len(result.history) == 5


def test_without_its_last_weights_a_training_goes_on_from_its_best_epoch(
    splits: Splits, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = stopped(splits, tmp_path, "fit.warmup.learning_rate=0")  # all are as good as the first
    last, best = folder / "epoch-002.weights.h5", folder / "epoch-001.weights.h5"
    assert last.exists() and best.exists()
    inputs = json.loads((folder / "inputs.json").read_text())
    content = last.read_bytes()
    for length in (0, 1, 8, 1000, len(content) - 1):
        last.write_bytes(content[:length])
        caplog.clear()
        kept = Checkpoints(tmp_path, inputs, "val_loss")
        assert len(kept.epochs) == kept.best() == 1, length
        assert f"{last} is torn or damaged" in caplog.text
        kept.release()
    best.write_bytes(best.read_bytes()[:-1])
    kept = Checkpoints(tmp_path, inputs, "val_loss")
    assert kept.epochs == []
    kept.release()
    assert not resumes(splits, tmp_path, "fit.warmup.learning_rate=0")


HOLD = """
import sys
from pathlib import Path
from tests.train.test_fit import configured, toy, train

class Run:
    id = "run of the first"

    def log_epoch(self, epoch, values):
        print(f"epoch {epoch}", flush=True)
        if epoch == 2:
            sys.stdin.readline()

folder = Path(sys.argv[1])
config = configured(folder / "cache", "fit.cache=none")
fitted = train(toy(folder / "pixels"), config, Run())
print(f"{len(fitted.history)} epochs", flush=True)
sys.stdin.readline()
fitted.clean_up()
print("removed", flush=True)
sys.stdin.readline()
"""


def heard(process: subprocess.Popen[str], count: int) -> list[str]:
    """The next lines that `process` prints, without the empty ones that a progress bar leaves."""
    assert process.stdout is not None
    lines: list[str] = []
    while len(lines) < count and (line := process.stdout.readline()):
        lines += [line.strip()] if line.strip() else []
    return lines


@pytest.fixture
def first(tmp_path: Path):
    """Another process that trains the same and waits after its second epoch."""
    (tmp_path / "pixels").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert heard(process, 2) == ["epoch 1", "epoch 2"]
    yield process
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_a_second_run_of_a_training_is_told_of_the_first_and_leaves_it_alone(
    first: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert first.stdin is not None
    same, cache = toy(tmp_path / "pixels"), tmp_path / "cache"
    who = rf"in use by process {first.pid} on \S+, run run of the first, since .* UTC: wait until"
    for resume in ("true", "false"):
        with pytest.raises(UserError, match=who):
            fitted(same, configured(cache, PLAIN, f"fit.resume={resume}"))
    assert not resumes(same, cache, "seed=1")  # another training runs beside it
    first.stdin.write("\n")
    first.stdin.flush()
    assert heard(first, 4) == ["epoch 3", "epoch 4", "epoch 5", "5 epochs"]
    with pytest.raises(UserError, match=who):  # it is not logged yet
        fitted(same, configured(cache, PLAIN))
    first.stdin.write("\n")
    first.stdin.flush()
    assert heard(first, 1) == ["removed"]
    assert not resumes(same, cache)


@pytest.mark.slow
def test_a_killed_run_of_a_training_blocks_nobody(
    first: subprocess.Popen[str], tmp_path: Path
) -> None:
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    _, told = fitted(toy(tmp_path / "pixels"), configured(tmp_path / "cache", PLAIN))
    assert told[0] == "resumed run of the first"
