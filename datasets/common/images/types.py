"""The types of the reader: an image, or the reason why there is none."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np


class Kind(Enum):
    """The kind of fault, for code that handles a `BadImage`."""

    UNREADABLE = "unreadable"
    """There is no file, or it cannot be opened."""
    EMPTY = "empty"
    FORMAT = "format"
    """Not an image of a supported format."""
    LARGE = "large"
    """More pixels than allowed."""
    DAMAGED = "damaged"
    """A supported format, but no pixels can be decoded."""


class BadImage(Exception):  # noqa: N818 -- the word for it everywhere else
    """A file or content without readable pixels: the reason, and the path if it has one.

    `reason` never quotes patient data.
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
    """One image: `pixels`, uint8 (H, W, 3), RGB, and its upright size before it was resized."""

    pixels: np.ndarray
    width: int
    height: int


def check_pixels(width: int, height: int, limit: int) -> None:
    """Raise `BadImage` for more than `limit` pixels."""
    if width * height > limit:
        raise BadImage(Kind.LARGE, f"{width} x {height}: more than {limit} pixels")


def reason_of(error: Exception) -> str:
    """The message of a decoder on one line, at most 200 characters."""
    return " ".join((str(error) or type(error).__name__).split())[:200]
