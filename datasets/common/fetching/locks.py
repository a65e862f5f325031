"""Locks: one process at a time trains a run, or writes a file.

A lock is a file that its process holds with `flock`. The system frees it when the process ends,
however it ends, so a lock never outlives its holder. On NFS the server frees it, also across
hosts (NFS 4, and NFS 3 with its lock daemon; if the holder's host crashed, after its lease of about
90 seconds). A file system without locks is refused: two runs on it could mix their files.
"""

import errno
import fcntl
import json
import logging
import os
import socket
import time
import weakref
from datetime import UTC, datetime
from pathlib import Path

from conf.errors import UserError

log = logging.getLogger(__name__)

POLL = 0.2
"""Seconds between two attempts to take a lock."""
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}
"""Error numbers of file systems without locks."""


class Lock:
    """The right to use `what`, held from the constructor until `release` or the process's end.

    If another process holds it: with `wait` the constructor waits, and the log says so; without,
    `UserError` names the holder (process, host, run, since when) and `way_out`. `run` is the name
    under which this holder appears in such a message.
    """

    def __init__(
        self, path: Path, what: str, *, wait: bool = False, run: str = "", way_out: str = ""
    ) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        waiting = False
        while (descriptor := _taken(path)) is None:
            holder = _holder(path)
            if not wait:
                raise UserError(f"{what} is in use by {holder}: {way_out or 'wait until it ends'}")
            if not waiting:
                log.info("waiting for %s, in use by %s", what, holder)
                waiting = True
            time.sleep(POLL)
        facts = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "run": run,
            "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        }
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(facts).encode(), 0)
        self._release = weakref.finalize(self, _free, descriptor, path, os.getpid())

    def release(self) -> None:
        """Free the lock; a second call does nothing."""
        self._release()

    def leave(self) -> None:
        """Hold the lock until the process ends, and leave its file to whoever takes it next."""
        self._release.detach()

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


def _taken(path: Path) -> int | None:
    """Descriptor of the locked file `path`; None where another holds it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return None
            if error.errno in NO_LOCKS:
                raise UserError(
                    f"{path.parent}: this file system has no locks ({error.strerror}), which keep "
                    "two runs apart; name a folder on another disk (env.cache, predict.output)"
                ) from error
            raise
        if _same_file(descriptor, path):
            return descriptor
        os.close(descriptor)  # its last holder has removed it meanwhile: it protects nothing


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        run = f", run {facts['run']}" if facts["run"] else ""
        return f"process {facts['pid']} on {facts['host']}{run}, since {facts['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # it is just being written, or gone
        return "another process"


def _free(descriptor: int, path: Path, pid: int) -> None:
    if os.getpid() == pid:  # a forked child does not hold what its parent took
        path.unlink(missing_ok=True)
        os.close(descriptor)
