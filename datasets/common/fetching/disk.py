"""Atomic writes: a file or folder is complete under its name, or it is not there.

```mermaid
flowchart LR
    A[draft beside it] -->|fsync| B[rename] -->|fsync of the folder| C[whole, whatever happens]
    A -- error, full disk, kill --> D[what was there before]
```
"""

import errno
import logging
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from conf.errors import UserError

log = logging.getLogger(__name__)

FULL = {errno.ENOSPC, errno.EDQUOT}
"""No space is left on the device, or the user's quota is used up."""

WAY_OUT = (
    "free some space, or put the data elsewhere with dataset.path=/a/larger/disk or "
    "env.cache=/a/larger/disk"
)
DRAFT = ".draft-"
"""How the names of drafts begin; they end with the final name."""


@contextmanager
def writing(folder: Path, way_out: str = WAY_OUT) -> Iterator[None]:
    """Turn a full disk while writing below `folder` into a `UserError` that names it."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_FULL or getattr(error, "errno", None) in FULL:
            raise UserError(f"{folder}: the disk is full; {way_out}") from error
        raise


def need(folder: Path, size: int) -> None:
    """Raise `UserError` where fewer than `size` bytes are free for `folder`."""
    home = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if size > (free := shutil.disk_usage(home).free):
        figures = f"{size / 1e9:.2f} GB are needed and {free / 1e9:.2f} GB are free"
        raise UserError(f"{folder}: {figures}; {WAY_OUT}")


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A draft beside `path`; after the block it is synced to disk and renamed to `path`.

    If the block raises or the process is killed, `path` stays as it was.
    """
    draft = _draft(path)
    try:
        yield draft
        settle(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def settle(draft: Path, path: Path) -> None:
    """Sync the finished file `draft` to disk, then rename it to `path`, in the same folder."""
    _sync(draft)
    draft.replace(path)
    _sync(path.parent)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path`; after the block it is synced to disk and renamed to `path`.

    If another process was faster, its folder stays, and what the block wrote is dropped.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft(path)
    draft.mkdir()
    try:
        yield draft
        os.sync()  # one for all files: an fsync of each takes minutes for a set of images
        try:
            draft.rename(path)
        except OSError:
            if not path.is_dir():
                raise
        _sync(path.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def remove_drafts(path: Path) -> None:
    """Remove the drafts of `path` that killed processes left; only the holder of its lock may."""
    for draft in path.parent.glob(f"{DRAFT}*"):
        if draft.name.endswith(f"-{path.name}"):
            shutil.rmtree(draft) if draft.is_dir() else draft.unlink(missing_ok=True)


def whole_array(path: Path, dtype: Any, shape: tuple[int, ...]) -> bool:
    """Whether `path` is a complete `.npy` file of `dtype` and `shape`.

    Any other file under this name counts as absent, and the log names it.
    """
    try:
        found = np.lib.format.open_memmap(path, mode="r")
        size = path.stat().st_size
    except FileNotFoundError:
        return False
    except (OSError, ValueError, TypeError, OverflowError) as error:
        absent(path, error)
        return False
    expected = (np.dtype(dtype), shape, found.offset + found.nbytes)
    if (found.dtype, found.shape, size) != expected:
        absent(path, f"{found.dtype} {found.shape} in {size} bytes, expected {dtype} {shape}")
        return False
    return True


def absent(path: Path, reason: object) -> None:
    """Log that `path` cannot be used and counts as absent."""
    text = str(reason).strip()
    line = text.splitlines()[0] if text else type(reason).__name__
    log.warning("%s is torn or damaged (%s): it counts as absent", path, line)


def _draft(path: Path) -> Path:
    # The name stays at the end: Keras and others look at the suffix.
    return path.with_name(f"{DRAFT}{secrets.token_hex(4)}-{path.name}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
