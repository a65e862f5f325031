"""Odd entries of a folder of images, and the reason why each one is left out."""

import os
import socket
from pathlib import Path

from tests.datasets.common import save

LATIN = os.fsdecode(b"p\xf3lipo.png")
"""A name in Latin-1, as an archive of an older system brings it."""
REASONS = {
    "pipe.png": "a named pipe",
    "socket.png": "a socket",
    "device.png": "a device",
    "nowhere.png": "a link that leads to no file",
    "loop.png": "a link that leads to no file: Too many levels",
    r"p\xf3lipo.png": "not UTF-8",
    r"im\xe1genes/a.png": "not UTF-8",
}


def lay(folder: Path) -> set[str]:
    """Lay them all in `folder`; the names by which they are known then."""
    folder.mkdir(parents=True, exist_ok=True)
    os.mkfifo(folder / "pipe.png")
    here = Path.cwd()
    os.chdir(folder)  # an address of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("socket.png")
    finally:
        os.chdir(here)
    (folder / "device.png").symlink_to("/dev/zero")
    (folder / "nowhere.png").symlink_to("none")
    (folder / "loop.png").symlink_to("loop.png")
    save(folder / "good.png", 77).rename(folder / LATIN)
    save(folder / os.fsdecode(b"im\xe1genes") / "a.png", 78)
    return set(REASONS)
