"""Compressed frames of DICOM: their size is checked before they are decoded.

A compressed frame states its own size, which may differ from Rows and Columns of the header: a few
bytes may unpack to gigabytes. This module gives pydicom's decoders a plugin that checks the size.
"""

import itertools
from io import BytesIO
from typing import Any

from PIL import Image
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders import pillow, rle
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    RLELossless,
)

PLUGIN = "checked"
DECODER_DEPENDENCIES = pillow.DECODER_DEPENDENCIES | rle.DECODER_DEPENDENCIES
SLACK = 2
"""A run-length segment may have this many times Rows x Columns bytes, as some writers pad it."""


def is_available(syntax: str) -> bool:
    """Whether frames of this transfer syntax can be decoded; pydicom asks."""
    return pillow.is_available(syntax) or rle.is_available(syntax)


def decode(frame: bytes, runner: Any) -> bytes | bytearray:
    """The decoded `frame`; pydicom calls it. Raises `ValueError` for one of another size."""
    if runner.transfer_syntax == RLELossless:
        _check_runs(frame, SLACK * runner.rows * runner.columns)
        return rle._decode_frame(frame, runner)
    with Image.open(BytesIO(frame), formats=("JPEG", "JPEG2000")) as image:
        if image.size != (runner.columns, runner.rows):
            width, height = image.size
            raise ValueError(
                f"a frame of {width} x {height} in a file of {runner.columns} x {runner.rows}"
            )
    return pillow._decode_frame(frame, runner)


def _check_runs(frame: bytes, limit: int) -> None:
    """Raise `ValueError` where a segment of run lengths unpacks to more than `limit` bytes."""
    starts = [*rle._rle_parse_header(frame[:64]), len(frame)]
    for start, end in itertools.pairwise(starts):
        position, length = start, 0
        while position < min(end, len(frame)):
            count = frame[position]
            run = count > 128
            length += 257 - count if run else (0 if count == 128 else count + 1)
            position += 2 if run else (1 if count == 128 else count + 2)
            if length > limit:
                raise ValueError("a frame that unpacks to more than Rows x Columns")


def _register(syntax: UID) -> str:
    decoder = get_decoder(syntax)
    decoder.add_plugin(PLUGIN, (__name__, "decode"))
    return PLUGIN if PLUGIN in decoder.available_plugins else ""


PLUGINS = {
    syntax: _register(syntax)
    for syntax in (JPEGBaseline8Bit, JPEGExtended12Bit, JPEG2000, JPEG2000Lossless, RLELossless)
}
"""The plugin that decodes a transfer syntax; for others pydicom chooses."""
