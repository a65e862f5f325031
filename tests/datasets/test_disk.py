"""A file that is read back is complete, or it counts as absent and the log says so."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from datasets.common.fetching.disk import atomic_folder, atomic_write, remove_drafts, whole_array
from tests.common import ROOT

SHAPE = (3, 4, 5)


def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    with atomic_write(path) as draft:
        draft.write_text("whole")
        assert draft.suffix == ".txt" and not path.exists()
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as draft:
        draft.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "before"
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "folder") as half:
        (half / "a").write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == [path]


def test_bytes_and_names_are_on_disk_before_the_block_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    real = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    with atomic_write(tmp_path / "kept.txt") as draft:
        draft.write_text("whole")
    assert synced == [draft, tmp_path]


KILLED = """
import os, signal, sys
from pathlib import Path
from datasets.common.fetching.disk import atomic_write
with atomic_write(Path(sys.argv[1])) as draft:
    draft.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_what_was_there_and_a_draft_that_can_be_removed(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    path.write_text("before")
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 2
    remove_drafts(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_another_process_made_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    with atomic_folder(path) as ours:
        (ours / "a").write_text("ours")
        path.mkdir()
        (path / "a").write_text("theirs")
    assert (path / "a").read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_an_array_cut_anywhere_counts_as_absent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.npy"
    assert not whole_array(path, np.uint8, SHAPE)
    assert not caplog.text
    np.save(path, np.ones(SHAPE, np.uint8))
    content = path.read_bytes()
    assert whole_array(path, np.uint8, SHAPE)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert not whole_array(path, np.uint8, SHAPE), length
    assert caplog.text.count("it counts as absent") == len(content)


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04 no zip", b"\x93NUMPY\x01\x00\xff\xff{", b"\x80\x04pickle", b"x" * 500]
)
def test_what_is_no_array_counts_as_absent(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    assert not whole_array(path, np.uint8, SHAPE)


def test_another_array_counts_as_absent(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.ones(SHAPE, np.uint8))
    assert not whole_array(path, np.float16, SHAPE)
    assert not whole_array(path, np.uint8, (4, 4, 5))
    path.write_bytes(path.read_bytes() + b"more")
    assert not whole_array(path, np.uint8, SHAPE)
