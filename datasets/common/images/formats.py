"""The format of a file by its first bytes; its name and declared type do not matter."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from PIL import Image

from datasets.common.images.types import BadImage, Kind

PICTURES = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000")
"""Pillow's formats that are read. Others are not: EPS, for example, goes to an external program."""

FORMATS = (*PICTURES, "DICOM")

PREAMBLE = 132
"""Bytes that say whether a file is DICOM: 128 of anything, then `DICM` (PS3.10, section 7.1)."""

Source = bytes | BinaryIO
"""The content of a file, or the file itself, open for reading."""

Image.init()  # on first use it would run in several threads at once
# `max_pixels` is checked before every decoding; Pillow's own limit would refuse what it allows.
Image.MAX_IMAGE_PIXELS = None


@contextmanager
def stream(content: Source) -> Iterator[BinaryIO]:
    """`content` as a file, at its start; an open file stays open."""
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    file.seek(0)
    yield file


def sniff(file: BinaryIO) -> str:
    """The name of the format of `file`, one of `FORMATS`. Raises `BadImage`.

    The preamble of a DICOM file may begin as a TIFF does: DICOM goes first.
    """
    file.seek(0)
    head = file.read(PREAMBLE)
    file.seek(0)
    if not head:
        raise BadImage(Kind.EMPTY, "empty file: 0 bytes")
    if head[128:] == b"DICM":
        return "DICOM"
    for name in PICTURES:
        accept = Image.OPEN[name][1]
        if accept is not None and accept(head[:16]) is True:
            return name
    known = ", ".join(FORMATS)
    raise BadImage(Kind.FORMAT, f"not an image of a format that is read: {known}")
