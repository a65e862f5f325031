"""Any image file to RGB, or a reason why not.

A medical archive holds palettes, 16-bit exports, rotated photographs, DICOM and half-written
files. The reader answers with pixels or with `BadImage`; it never raises anything else, so one
file can neither stop a run nor slip through unseen.
"""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000")
"""Formats that are opened. Others, such as EPS, hand the bytes to an outside program."""

Image.init()  # on first use it would run in several threads at once

READER = 2
"""Raised when a file gives other pixels than before: models note it, and a service compares."""

ORIENTATION = 0x0112
"""The EXIF tag of how the camera was held."""

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each value of `ORIENTATION` (EXIF 2.32, section 4.6.4)."""

PREAMBLE = 132
"""Bytes that say whether a file is DICOM: 128 of anything, then `DICM` (PS3.10, section 7.1)."""


class BadImage(Exception):  # noqa: N818 -- the word for it everywhere else
    """A file that gives no pixels: which one, and why."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins with `head`, `PREAMBLE` bytes or more, is DICOM."""
    return head[128:PREAMBLE] == b"DICM"


def read_image(
    path: Path, max_pixels: int, window: Any = None, size: int | None = None
) -> np.ndarray:
    """The pixels of `path`, upright: uint8 (H, W, 3), RGB; with `size`, (size, size, 3).

    With `size` a large JPEG is decoded at a half, a quarter or an eighth of its sides, none below
    `size`, which libjpeg does from its coefficients in less than half the time; then `resize`.
    Transparency lies on black; of an animation the first frame counts. 16-bit grey is scaled by
    its full range, 0..65535; floats are taken as 0..1 where no value is outside, else as 0..255.
    DICOM is read by `datasets.common.dicom`, with `window` (`conf.schema.Dicom`); `scan.dcm#3` is
    frame 3 of several, counted from 0.

    Raises `BadImage` for whatever cannot be decoded whole, and, from the header alone, for more
    than `max_pixels`.
    """
    path = Path(path)
    if "#" in path.name and not path.exists():
        return _read_dicom(path, max_pixels, window, size)
    try:
        if path.stat().st_size == 0:
            raise BadImage(path, "empty file")
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise BadImage(path, too_large(f"{width} x {height}", max_pixels))
            if size is not None:
                image.draft(None, (size, size))
            image.load()
            shown = _rgb(_upright(image))
            pixels = np.asarray(shown if size is None else _square(shown, size))
    except BadImage:
        raise
    except Image.DecompressionBombError:
        limit = min(max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or max_pixels))
        raise BadImage(path, too_large("header", limit)) from None
    except Image.UnidentifiedImageError:
        with path.open("rb") as file:
            if is_dicom(file.read(PREAMBLE)):
                return _read_dicom(path, max_pixels, window, size)
        raise BadImage(path, "not an image, or of a format that is not read") from None
    except Exception as error:  # decoders of corrupt bytes raise nearly everything there is
        reason = " ".join((str(error) or type(error).__name__).split())
        raise BadImage(path, f"cannot be decoded: {reason[:200]}") from None
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise BadImage(path, f"decodes to shape {pixels.shape}, expected (H, W, 3)")
    return pixels


def _read_dicom(path: Path, max_pixels: int, window: Any, size: int | None) -> np.ndarray:
    from datasets.common import dicom  # a second of imports that other formats do without

    pixels = dicom.read(path, max_pixels, window)
    return pixels if size is None else resize(pixels, size)


def too_large(what: str, limit: int) -> str:
    """The reason of an image with more pixels than `limit`; `what` is its size."""
    return f"{what}: more than {limit} pixels (dataset.max_pixels)"


def _upright(image: Image.Image) -> Image.Image:
    try:
        turn = UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # a broken EXIF block says nothing about the pixels beside it
        return image
    return image if turn is None else image.transpose(turn)


def _rgb(image: Image.Image) -> Image.Image:
    """A loaded image of any mode in mode RGB."""
    if image.mode.startswith("I") or image.mode == "F":
        grey = _grey(np.asarray(image), image.mode)
        return Image.fromarray(grey).convert("RGB")
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        assert converted is not None  # only in place there is no answer
        return converted
    if image.mode.endswith(("A", "a")) or "transparency" in image.info:
        image = image.convert("LA" if image.mode == "La" else image.mode).convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _grey(values: np.ndarray, mode: str) -> np.ndarray:
    """uint8 of integers 0..65535 or of floats."""
    if mode != "F":
        return (np.clip(values, 0, 65535).astype(np.uint32) // 257).astype(np.uint8)
    finite = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=255.0, neginf=0.0)
    if finite.min() >= 0 and finite.max() <= 1:
        finite = finite * 255
    return np.clip(finite.round(), 0, 255).astype(np.uint8)


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """uint8 (H, W, 3) stretched to the square: uint8 (size, size, 3), bilinear and antialiased."""
    return np.asarray(_square(Image.fromarray(image), size))


def _square(image: Image.Image, size: int) -> Image.Image:
    """`resize`, of an image in mode RGB."""
    if image.size == (size, size):
        return image
    return image.resize((size, size), Image.Resampling.BILINEAR)
