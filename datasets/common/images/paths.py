"""Files below a folder, and opening one: whatever lies there, nothing hangs and nothing is lost.

A folder of images may hold named pipes, sockets, links to nothing, files of others, and names that
are not UTF-8, which no table, page or tracking server can bear. They are listed like any file;
opening one raises `BadImage` with the reason, and `shown` is a name that can be written anywhere.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from datasets.common.images.values import BadImage, Kind

IGNORED = {"__macosx", "thumbs.db", "desktop.ini", "dicomdir"}
"""Left behind by other systems, and DICOM's table of contents; so are hidden files."""

KINDS = (
    (stat.S_ISDIR, "a folder, not a file"),
    (stat.S_ISFIFO, "a named pipe, not a file"),
    (stat.S_ISSOCK, "a socket, not a file"),
    (stat.S_ISCHR, "a device, not a file"),
    (stat.S_ISBLK, "a device, not a file"),
)
"""What a path may lead to that is never opened: a pipe would wait for its writer for ever."""


def files(folder: Path) -> Iterator[Path]:
    """Every visible entry below `folder` that is no folder; linked folders are not followed.

    A folder that cannot be listed stands for its files: opening it says why.
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
    """Why `path` is no file to be opened; "" where it is one. Nothing is opened."""
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
    """The file at `path`, open for reading. Raises `BadImage`, as what is done with it may."""
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
