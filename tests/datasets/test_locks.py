"""A lock has one holder at a time, whom others see by name; a dead process holds none."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from conf.errors import UserError
from datasets.common.fetching.locks import Lock
from tests.common import ROOT

HOLD = """
import sys, time
from pathlib import Path
from datasets.common.fetching.locks import Lock
lock = Lock(Path(sys.argv[1]), "it", run="r1")
print("held", flush=True)
sys.stdin.readline()
"""


def holding(path: Path) -> subprocess.Popen[str]:
    """A process that holds the lock `path` until it reads a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_holder_is_named_and_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    process = holding(path)
    who = rf"process {process.pid} on {socket.gethostname()}, run r1, since 20\d\d-.* UTC: go home"
    with pytest.raises(UserError, match=f"the thing is in use by {who}"):
        Lock(path, "the thing", way_out="go home")
    process.communicate("\n", 30)
    Lock(path, "the thing").release()
    assert not path.exists()


@pytest.mark.parametrize("left", ["what its holder wrote", "nothing", "garbage"])
def test_a_lock_of_a_dead_process_blocks_nobody(tmp_path: Path, left: str) -> None:
    path = tmp_path / "lock"
    process = holding(path)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert path.exists()
    if left != "what its holder wrote":
        path.write_bytes(b"" if left == "nothing" else b"\xff{")
    with Lock(path, "it"), pytest.raises(UserError, match=f"process {os.getpid()} on"):
        Lock(path, "it")
    assert not path.exists()


WAIT = """
import logging, sys
from pathlib import Path
from datasets.common.fetching.locks import Lock
logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stdout)
with Lock(Path(sys.argv[1]), "the thing", wait=True):
    print("held", flush=True)
"""


def test_a_lock_is_waited_for_and_the_log_says_for_whom(tmp_path: Path) -> None:
    holder = holding(tmp_path / "lock")
    command = [sys.executable, "-c", WAIT, str(tmp_path / "lock")]
    waiting = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert waiting.stdout is not None
    who = f"process {holder.pid} on {socket.gethostname()}, run r1, since "
    assert waiting.stdout.readline().startswith(f"waiting for the thing, in use by {who}")
    holder.communicate("\n", 30)
    assert waiting.communicate(timeout=60)[0] == "held\n"


def test_a_lock_that_nobody_keeps_is_free_again(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = Lock(path, "it")
    del lock
    with Lock(path, "it") as again:
        again.release()
        Lock(path, "it").release()


MANY = """
import sys
from pathlib import Path
from datasets.common.fetching.locks import Lock
counter = Path(sys.argv[2])
for _ in range(200):
    with Lock(Path(sys.argv[1]), "the counter", wait=True):
        counter.write_text(str(int(counter.read_text()) + 1))
"""


def test_no_two_processes_are_ever_inside_together(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    command = [sys.executable, "-c", MANY, str(tmp_path / "lock"), str(counter)]
    processes = [subprocess.Popen(command, cwd=ROOT) for _ in range(3)]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    assert counter.read_text() == "600"
