"""Pictures by Pillow: upright, and RGB whatever their mode.

What is not grey or RGB is converted strip by strip: beside what the decoder keeps, memory holds
one byte a pixel for grey and four for colour (Pillow pads RGB). Grey is shrunk before it becomes
RGB, which gives the same pixels.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms

from datasets.common.images.values import BadImage, Kind, Picture, check_pixels, reason_of

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

ON_ITS_SIDE = [turn for orientation, turn in UPRIGHT.items() if orientation >= 5]
"""What makes a width of a height."""

STRIP = 1 << 18
"""Pixels converted at a time: a few MB."""

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
        # After loading: Pillow turns a TIFF by itself, and finds a PNG's tag behind its pixels.
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


@contextmanager
def _open(file: BinaryIO, name: str) -> Iterator[Image.Image]:
    """`file` as an image of which the header was read; whatever fails is `BadImage`."""
    try:
        with Image.open(file, formats=(name,)) as image:
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
    """`convert` of the whole image, which knows no pixel's neighbours; the answer is in `mode`."""
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
