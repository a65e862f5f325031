"""Images decoded by Pillow: upright, and RGB whatever their mode.

Modes other than grey and RGB are converted strip by strip. Beside the decoder's own memory, grey
takes one byte a pixel and colour four (Pillow pads RGB). Grey is resized before it becomes RGB,
which gives the same pixels.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageCms

from datasets.common.images.types import BadImage, Kind, Picture, check_pixels, reason_of

ORIENTATION = 0x0112
"""The EXIF tag of the orientation of the camera."""

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transpose that undoes each value of `ORIENTATION` (EXIF 2.32, section 4.6.4)."""

ON_ITS_SIDE = [turn for orientation, turn in UPRIGHT.items() if orientation >= 5]
"""Transposes that swap width and height."""

STRIP = 1 << 18
"""Pixels converted at a time: a few MB."""

MOST_READS = 2_000
"""Most reads of a file until its header is known; files of cameras, scanners and editors need 40.

Pillow joins the EXIF segments of a JPEG one by one, in quadratic time: 20 MB of them take minutes.
"""

Convert = Callable[[Image.Image], Image.Image]


def read(file: BinaryIO, name: str, max_pixels: int, size: int | None) -> Picture:
    """The picture in `file`, of format `name`; see `datasets.common.images.read`."""
    with _open(file, name) as image:
        whole = image.size
        check_pixels(*whole, max_pixels)
        if size is not None:
            image.draft(None, (size, size))
        shrunk = image.size != whole
        image.load()
        # After loading: Pillow turns a TIFF itself, and a PNG may have its tag after the pixels.
        turn = _turn(image)
        plain = _plain(image)
        if plain is not image:
            image.close()  # frees its pixels
        if turn is not None:
            plain = plain.transpose(turn)
        if not shrunk:
            whole = plain.size
        elif turn in ON_ITS_SIDE:
            whole = whole[1], whole[0]
        return Picture(rgb_array(plain, size), *whole)


def size(file: BinaryIO, name: str) -> tuple[int, int]:
    """Width and height in the header of `file`."""
    with _open(file, name) as image:
        return image.size


class Metered:
    """A file that allows `left` reads; the next one raises `ValueError`."""

    def __init__(self, file: BinaryIO, left: float) -> None:
        self.left = left
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """As the file does."""
        self.left -= 1
        if self.left < 0:
            raise ValueError("its header has too many parts")
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def _open(file: BinaryIO, name: str) -> Iterator[Image.Image]:
    """`file` as an image whose header was read; every failure is a `BadImage`."""
    try:
        metered: Any = Metered(file, MOST_READS)
        with Image.open(metered, formats=(name,)) as image:
            metered.left = math.inf
            yield image
    except BadImage:
        raise
    except Image.UnidentifiedImageError:
        raise BadImage(
            Kind.DAMAGED, f"the {name} image cannot be decoded: its header makes no sense"
        ) from None
    except Exception as error:  # decoders of corrupt bytes raise nearly everything there is
        reason = reason_of(error)
        raise BadImage(Kind.DAMAGED, f"the {name} image cannot be decoded: {reason}") from None


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # a broken EXIF block says nothing about the pixels beside it
        return None


def _plain(image: Image.Image) -> Image.Image:
    """A loaded image of any mode in mode L or RGB."""
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        return _in_strips(image, "L", _grey(image))
    if mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(lab, srgb, "LAB", "RGB")
        return _in_strips(image, "RGB", transform.apply)
    if mode.endswith(("A", "a")) or "transparency" in image.info:
        return _in_strips(image, "RGB", _on_black)
    if mode in ("L", "RGB"):
        return image
    if mode == "1":
        return image.convert("L")
    return _in_strips(image, "RGB", lambda strip: strip.convert("RGB"))


def _in_strips(image: Image.Image, mode: str, convert: Convert) -> Image.Image:
    """`image` in `mode`: `convert`, which treats each pixel alone, is applied strip by strip."""
    converted = Image.new(mode, image.size)
    for box in _strips(image):
        converted.paste(convert(image.crop(box)), box)
    return converted


def _strips(image: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    rows = max(1, STRIP // image.width)
    for top in range(0, image.height, rows):
        yield 0, top, image.width, min(top + rows, image.height)


def _on_black(image: Image.Image) -> Image.Image:
    clear = image.convert("LA" if image.mode == "La" else image.mode).convert("RGBA")
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, clear).convert("RGB")


def _grey(image: Image.Image) -> Convert:
    """How a strip of `image`, of integers 0..65535 or of floats, becomes grey."""
    if image.mode != "F":
        return lambda strip: Image.fromarray(
            (np.clip(np.asarray(strip), 0, 65535).astype(np.uint32) // 257).astype(np.uint8)
        )
    ends = [(v.min(), v.max()) for v in (_finite(image.crop(box)) for box in _strips(image))]
    scale = 255 if min(low for low, _ in ends) >= 0 and max(high for _, high in ends) <= 1 else 1
    return lambda strip: Image.fromarray(
        np.clip((_finite(strip) * scale).round(), 0, 255).astype(np.uint8)
    )


def _finite(strip: Image.Image) -> np.ndarray:
    values = np.asarray(strip).astype(np.float64)
    return np.nan_to_num(values, nan=0.0, posinf=255.0, neginf=0.0)


def rgb_array(image: Image.Image, size: int | None) -> np.ndarray:
    """uint8 (H, W, 3) of an image in mode L or RGB; (size, size, 3) where `size` is given."""
    image = image if size is None else _square(image, size)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """uint8 (H, W, 3) stretched to the square: uint8 (size, size, 3), bilinear and antialiased."""
    return np.asarray(_square(Image.fromarray(image), size))


def _square(image: Image.Image, size: int) -> Image.Image:
    if image.size == (size, size):
        return image
    return image.resize((size, size), Image.Resampling.BILINEAR)
