"""Rows on disk: what is noted is whole, what is torn counts as absent."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.common import ROOT
from train.common.fitting import row_store
from train.common.fitting.row_store import Rows


def test_rows_that_were_not_noted_are_missing(tmp_path: Path) -> None:
    def broken() -> Iterator[np.ndarray]:
        yield np.ones((2, 3), np.float16)
        raise KeyboardInterrupt

    rows = Rows(tmp_path / "rows.npy", 5, (3,))
    with pytest.raises(KeyboardInterrupt):
        rows.fill(np.array([0, 2, 4]), broken())
    again = Rows(tmp_path / "rows.npy", 5, (3,))
    assert again.missing(np.array([4, 2, 0])).tolist() == [0, 2, 4]
    again.fill(np.array([0, 2]), iter([np.full((2, 3), 7, np.float16)]))
    third = Rows(tmp_path / "rows.npy", 5, (3,))
    assert third.missing(np.arange(5)).tolist() == [1, 3, 4]
    np.testing.assert_array_equal(third.read(np.array([2, 0])), np.full((2, 3), 7))


def test_two_runs_fill_one_file(tmp_path: Path) -> None:
    ours, theirs = (Rows(tmp_path / "rows.npy", 4, (3,)) for _ in range(2))
    ours.fill(np.array([0, 1]), iter([np.full((2, 3), 1, np.float16)]))
    theirs.fill(np.array([2]), iter([np.full((1, 3), 2, np.float16)]))
    both = Rows(tmp_path / "rows.npy", 4, (3,))
    assert both.missing(np.arange(4)).tolist() == [3]
    assert both.read(np.array([0, 1, 2]))[:, 0].tolist() == [1, 1, 2]


FILL_FOREVER = """
import sys, itertools, numpy as np
from pathlib import Path
from train.common.fitting import row_store
row_store.SAVE_SECONDS = 0
rows = row_store.Rows(Path(sys.argv[1]), 100_000, (64, 64))
def batches():
    for number in itertools.count():
        print(number, flush=True)
        yield np.full((2, 64, 64), number, np.float16)
rows.fill(np.arange(100_000), batches())
"""


def test_a_kill_in_the_middle_leaves_whole_rows_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    process = subprocess.Popen(
        [sys.executable, "-c", FILL_FOREVER, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) == 20:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait(30)
    rows = Rows(path, 100_000, (64, 64))
    done = np.flatnonzero(rows.done)
    assert len(done) >= 40
    expected = np.repeat(done // 2, 64 * 64).reshape(-1, 64, 64)
    np.testing.assert_array_equal(rows.read(done), expected)


def test_progress_is_noted_within_seconds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(row_store, "SAVE_SECONDS", 0)
    rows = Rows(tmp_path / "rows.npy", 4, (3,))
    seen: list[int] = []

    def batches() -> Iterator[np.ndarray]:
        for _ in range(3):
            seen.append(int(Rows(tmp_path / "rows.npy", 4, (3,)).done.sum()))
            yield np.ones((1, 3), np.float16)

    rows.fill(np.arange(3), batches())
    assert seen == [0, 1, 2]


def filled(path: Path) -> Rows:
    """Rows 0, 1 and 3 of four, each of its own number."""
    rows = Rows(path, 4, (3,))
    values = np.repeat(np.array([0, 1, 3], np.float16), 3).reshape(3, 3)
    rows.fill(np.array([0, 1, 3]), iter([values]))
    return rows


@pytest.mark.parametrize("name", ["rows.npy", "rows.done.npy"])
def test_a_file_cut_anywhere_counts_as_absent_and_is_filled_again(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rows.npy"
    filled(path)
    content = (tmp_path / name).read_bytes()
    garbage = b"PK\x03\x04 no zip", b"x" * 300, content + b"more"
    for torn in [*(content[:length] for length in range(len(content))), *garbage]:
        caplog.clear()
        (tmp_path / name).write_bytes(torn)
        rows = Rows(path, 4, (3,))
        assert rows.missing(np.arange(4)).tolist() == [0, 1, 2, 3], len(torn)
        assert "it counts as absent" in caplog.text
        again = filled(path)
        assert again.missing(np.arange(4)).tolist() == [2]
        assert again.read(np.array([3, 1]))[:, 0].tolist() == [3, 1]


def test_rows_of_another_shape_are_not_read(tmp_path: Path) -> None:
    filled(tmp_path / "rows.npy")
    assert len(Rows(tmp_path / "rows.npy", 4, (5,)).missing(np.arange(4))) == 4


def test_a_file_that_went_away_meanwhile_is_filled_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    rows = filled(path)
    path.unlink()
    with rows.alone():
        assert rows.missing(np.arange(4)).tolist() == [0, 1, 2, 3]
        rows.fill(np.array([2]), iter([np.full((1, 3), 2, np.float16)]))
    assert Rows(path, 4, (3,)).missing(np.arange(4)).tolist() == [0, 1, 3]


FILL = """
import sys, numpy as np
from pathlib import Path
from train.common.fitting.row_store import Rows
wanted = np.arange(2000)
sys.stdin.readline()
rows = Rows(Path(sys.argv[1]), 2000, (64,))
with rows.alone():
    missing = rows.missing(wanted)
    rows.fill(missing, (np.full((1, 64), row, np.float16) for row in missing))
print(len(missing))
"""


def test_of_processes_that_want_the_same_rows_one_computes_them(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.npy"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", FILL, str(path)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    computed = [int(process.communicate(timeout=120)[0]) for process in processes]
    assert sorted(computed) == [0, 0, 2000]
    rows = Rows(path, 2000, (64,))
    assert rows.done.all()
    assert (rows.read(np.arange(2000))[:, 0] == np.arange(2000).astype(np.float16)).all()
