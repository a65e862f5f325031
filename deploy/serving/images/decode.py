"""Decode images to the pixels that the model was trained on, or refuse them.

The reader is that of training, `datasets.common.images`. A Bento contains it, and nothing else of
the project beside `deploy`.
"""

from collections.abc import Sequence

from datasets.common.images import BadImage, Header, Kind, Picture, Window, header, read

from ..http.limits import Limits
from ..http.refusals import Refused

ITEMS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
"""Tag of an item of a sequence in DICOM, in both byte orders (PS3.5, section 7.5)."""
MOST_ITEMS = 20_000
"""Most items in one DICOM file: reading each takes about 50 microseconds, even if it is empty."""

REFUSALS = {
    Kind.EMPTY: (400, "empty", ""),
    Kind.FORMAT: (415, "not_an_image", ""),
    Kind.LARGE: (413, "too_many_pixels", ": send a smaller image"),
    Kind.DAMAGED: (422, "undecodable", ""),
}
"""Status, code and way out for each kind of bad image."""


def headers(contents: Sequence[bytes], limits: Limits) -> list[Header]:
    """The header of each image; no pixel is decoded, and each frame counts as an image.

    Raises `Refused`: 400 for empty content, 415 for an unknown format, 422 for an invalid header,
    and 413 for more images, or more pixels in one image or in all, than `limits` allow.
    """
    found = []
    for position, content in enumerate(contents, start=1):
        try:
            _check_items(content)
            known = header(content)
        except BadImage as bad:
            raise refusal(bad).at(position, len(contents)) from None
        if known.pixels > limits.max_pixels:
            frames = f" x {known.frames} frames" if known.frames > 1 else ""
            raise Refused(
                413,
                "too_many_pixels",
                f"{known.width} x {known.height}{frames} are more than {limits.max_pixels} pixels: "
                "send a smaller image",
            ).at(position, len(contents))
        found.append(known)
    if (count := sum(known.frames for known in found)) > limits.max_images:
        raise Refused(
            413,
            "too_many_images",
            f"{count} images, frames of DICOM included, are more than {limits.max_images}: send "
            "several requests, or raise SONDA_MAX_IMAGES",
        )
    if (total := sum(known.pixels for known in found)) > limits.max_request_pixels:
        raise Refused(
            413,
            "too_many_pixels",
            f"the {count} images have {total} pixels together, more than "
            f"{limits.max_request_pixels}: send several requests",
        )
    return found


def _check_items(content: bytes) -> None:
    if content[128:132] == b"DICM" and max(map(content.count, ITEMS)) > MOST_ITEMS:
        raise BadImage(
            Kind.DAMAGED, f"a DICOM file with more than {MOST_ITEMS} items is not read here"
        )


def decode(
    content: bytes, max_pixels: int, size: int, window: Window | None = None
) -> list[Picture]:
    """The image in `content`, or all frames of a DICOM file, each uint8 (size, size, 3).

    Raises `Refused` if one of them cannot be decoded completely.
    """
    try:
        return list(read(content, max_pixels, window, size))
    except BadImage as bad:
        raise refusal(bad) from None


def refusal(bad: BadImage) -> Refused:
    """The refusal for `bad`."""
    status, code, way_out = REFUSALS[bad.kind]
    return Refused(status, code, bad.reason + way_out)
