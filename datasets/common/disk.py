"""A full disk, said in words."""

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conf.errors import UserError

FULL = {errno.ENOSPC, errno.EDQUOT}
"""No space left on the device; the user's share of it used up."""

WAY_OUT = (
    "free some space, or put the data elsewhere with dataset.path=/a/larger/disk or "
    "env.cache=/a/larger/disk"
)


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
