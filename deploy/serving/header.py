"""How many pixels an image has, from its header, before any of them is decoded."""

import io
from collections.abc import Sequence

from PIL import Image

from .images import check_size, sniff, undecodable
from .limits import Limits
from .refusals import Refused

MOST_READS = 2_000
"""Reads of a file until its header is known: some 40 where cameras, scanners or editors wrote it.

Pillow joins the EXIF segments of a JPEG one by one, in quadratic time: 20 MB of them take minutes.
"""


class Metered(io.BytesIO):
    """Bytes that may be read `MOST_READS` times. Then `ValueError` is raised."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """As `BytesIO` does."""
        self.reads += 1
        if self.reads > MOST_READS:
            raise ValueError("its header has too many parts")
        return super().read(size)


def pixels(contents: Sequence[bytes], limits: Limits) -> int:
    """Pixels of all images of a request.

    Raises `Refused` as `images.decode` does, naming the first image that is none or too large, and
    413 when all together have more than `limits.max_request_pixels`.
    """
    total = 0
    for position, content in enumerate(contents, start=1):
        try:
            width, height = measure(content, limits.max_pixels)
        except Refused as refused:
            raise refused.at(position, len(contents)) from None
        total += width * height
    if total > limits.max_request_pixels:
        raise Refused(
            413,
            "too_many_pixels",
            f"the {len(contents)} images have {total} pixels together, more than "
            f"{limits.max_request_pixels}: send several requests",
        )
    return total


def measure(content: bytes, max_pixels: int) -> tuple[int, int]:
    """Width and height of an image file as its header says. Raises `Refused` as `decode` does."""
    name = sniff(content)
    try:
        with Image.open(Metered(content), formats=(name,)) as image:
            width, height = image.size
    except Exception as error:
        raise undecodable(name, error) from None
    check_size(width, height, max_pixels)
    return width, height
