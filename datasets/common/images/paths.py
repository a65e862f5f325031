"""List the files below a folder, and open one: no entry blocks the process, and none is lost.

A folder of images may hold named pipes, sockets, broken links, files of other users, and names that
are not UTF-8. They are listed like any file, and opening one raises `BadImage` with the reason.
`shown` turns a name into text that tables, pages and tracking servers accept.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from datasets.common.images.types import BadImage, Kind

IGNORED = {"__macosx", "thumbs.db", "desktop.ini", "dicomdir"}
"""Files that other systems leave behind, and the index of a DICOM medium. Hidden files are ignored
too."""

KINDS = (
    (stat.S_ISDIR, "a folder, not a file"),
    (stat.S_ISFIFO, "a named pipe, not a file"),
    (stat.S_ISSOCK, "a socket, not a file"),
    (stat.S_ISCHR, "a device, not a file"),
    (stat.S_ISBLK, "a device, not a file"),
)
"""Entries that are never opened: a pipe, for example, would wait for its writer forever."""


def files(folder: Path) -> Iterator[Path]:
    """Every visible entry below `folder` that is no folder; linked folders are not followed.

    A folder that cannot be listed is given in place of its files: opening it gives the reason.
    """
    unlisted: list[Path] = []

    def note(error: OSError) -> None:
        unlisted.append(Path(error.filename))

    for home, folders, names in os.walk(folder, onerror=note):
        yield from unlisted
        unlisted.clear()
        folders[:] = sorted(filter(_visible, folders))
        for name in sorted(filter(_visible, names)):
            yield Path(home, name)
    yield from unlisted


def _visible(name: str) -> bool:
    return not name.startswith(".") and name.casefold() not in IGNORED


def shown(path: Path | str) -> str:
    r"""`path` with what is not UTF-8 escaped, `p\xf3lipo.jpg`; folders are separated by `/`."""
    name = path.as_posix() if isinstance(path, Path) else path
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def why_not(path: Path) -> str:
    """The reason why `path` cannot be opened as a file, or "". Nothing is opened."""
    if shown(path) != path.as_posix():
        return "its name is not UTF-8: rename it (convmv -f latin1 -t utf8)"
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if path.is_symlink():
            return f"a link that leads to no file: {error.strerror}"
        if isinstance(error, FileNotFoundError):
            return "there is no such file"
        return f"cannot be read: {error.strerror}"
    except ValueError:  # a null byte
        return "cannot be read: no name of a file"
    found = next((kind for is_kind, kind in KINDS if is_kind(mode)), "")
    if stat.S_ISDIR(mode) and not os.access(path, os.R_OK | os.X_OK):
        return "a folder that cannot be read: Permission denied"
    return found


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file at `path`, open for reading. Raises `BadImage`, also for errors while it is read."""
    if reason := why_not(path):
        raise BadImage(Kind.UNREADABLE, reason, path)
    try:
        with path.open("rb") as file:
            yield file
    except BadImage as bad:
        bad.path = path
        raise
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        raise BadImage(Kind.UNREADABLE, reason, path) from None
