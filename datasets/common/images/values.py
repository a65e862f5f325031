"""What the reader's modules share: an image that was read, and why there is none."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np


class Kind(Enum):
    """What is wrong with an image, for programs."""

    UNREADABLE = "unreadable"
    """There is no file, or none that can be opened."""
    EMPTY = "empty"
    FORMAT = "format"
    """Not an image of a format that is read."""
    LARGE = "large"
    """More pixels than allowed."""
    DAMAGED = "damaged"
    """Of a format that is read, and yet without pixels."""


class BadImage(Exception):  # noqa: N818 -- the word for it everywhere else
    """A file or content that gives no pixels: why, and which file where it has a name.

    `reason` never quotes what a file says of a patient.
    """

    def __init__(self, kind: Kind, reason: str, path: Path | None = None) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


@dataclass(frozen=True)
class Window:
    """DICOM window centre and width, in rescaled units; both None: the window of each file."""

    centre: float | None = None
    width: float | None = None


@dataclass(frozen=True)
class Picture:
    """One image: `pixels` uint8 (H, W, 3), RGB, and its upright size before it was shrunk."""

    pixels: np.ndarray
    width: int
    height: int


def check_pixels(width: int, height: int, limit: int) -> None:
    """Raise `BadImage` for more than `limit` pixels."""
    if width * height > limit:
        raise BadImage(Kind.LARGE, f"{width} x {height}: more than {limit} pixels")


def reason_of(error: Exception) -> str:
    """What a decoder says, on one line and not endless."""
    return " ".join((str(error) or type(error).__name__).split())[:200]
