"""The bytes of an image to the pixels that the model was trained on.

A service stands alone and cannot import the reader of training (`datasets.common.images`); what
it does is repeated here, and a test holds the two against each other pixel by pixel.
"""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from .refusals import Refused

READER = 2
"""Which reader of training this one repeats: other models are refused."""

SIGNATURES: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("JPEG", lambda head: head.startswith(b"\xff\xd8\xff")),
    ("PNG", lambda head: head.startswith(b"\x89PNG\r\n\x1a\n")),
    ("GIF", lambda head: head.startswith((b"GIF87a", b"GIF89a"))),
    ("WEBP", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP"),
    ("TIFF", lambda head: head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))),
    ("JPEG2000", lambda head: head.startswith((b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"))),
    ("BMP", lambda head: head.startswith(b"BM")),
    ("PPM", lambda head: head[:1] == b"P" and head[1:2] in b"123456fy" and len(head) > 2),
)
"""How the formats that training reads begin."""

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

Image.init()  # on first use it would run in several threads at once
Image.MAX_IMAGE_PIXELS = None  # our own cap stands before every decoding


def sniff(content: bytes) -> str:
    """Pillow's name of the format that the first bytes of `content` say.

    The declared type and the file name are not looked at: both come from the client. Raises
    `Refused`: 400 for nothing at all, 415 for no known format.
    """
    if not content:
        raise Refused(400, "empty", "the image is empty: 0 bytes")
    for name, begins in SIGNATURES:
        if begins(content[:16]):
            return name
    known = ", ".join(name for name, _ in SIGNATURES)
    raise Refused(415, "not_an_image", f"the content is not an image of a format read: {known}")


def decode(content: bytes, max_pixels: int, size: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The pixels of an image file, upright and RGB: uint8 (size, size, 3); its width and height.

    A large JPEG is decoded at a half, a quarter or an eighth of its sides, none below `size`.
    Raises `Refused`: 400 for nothing at all, 415 for no known format, 413, from the header
    alone, for more than `max_pixels`, and 422 for what cannot be decoded whole.
    """
    name = sniff(content)
    try:
        with Image.open(io.BytesIO(content), formats=(name,)) as image:
            width, height = image.size
            check_size(width, height, max_pixels)
            turn = _turn(image)
            image.draft(None, (size, size))
            image.load()
            upright = _rgb(image if turn is None else image.transpose(turn))
            pixels = np.asarray(_square(upright, size))
    except Refused:
        raise
    except Exception as error:  # decoders of corrupt bytes raise nearly everything there is
        raise undecodable(name, error) from None
    return pixels, (height, width) if turn in ON_ITS_SIDE else (width, height)


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise `Refused`, 413, for more than `max_pixels`."""
    if width * height > max_pixels:
        raise Refused(
            413,
            "too_many_pixels",
            f"{width} x {height} are more than {max_pixels} pixels: send a smaller image",
        )


def undecodable(name: str, error: Exception) -> Refused:
    """What a client is told of an `error` of the decoder of the format `name`."""
    reason = " ".join((str(error) or type(error).__name__).split())[:200]
    shown = "its header makes no sense" if isinstance(error, UnidentifiedImageError) else reason
    return Refused(422, "undecodable", f"the {name} image cannot be decoded: {shown}")


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # a broken EXIF block says nothing about the pixels beside it
        return None


def _rgb(image: Image.Image) -> Image.Image:
    """A loaded image of any mode in mode RGB; transparency lies on black."""
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
    """uint8 of integers 0..65535, or of floats: 0..1 where no value is outside, else 0..255."""
    if mode != "F":
        return (np.clip(values, 0, 65535).astype(np.uint32) // 257).astype(np.uint8)
    finite = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=255.0, neginf=0.0)
    if finite.min() >= 0 and finite.max() <= 1:
        finite = finite * 255
    return np.clip(finite.round(), 0, 255).astype(np.uint8)


def _square(image: Image.Image, size: int) -> Image.Image:
    """An image in mode RGB stretched to the square, bilinear and antialiased."""
    if image.size == (size, size):
        return image
    return image.resize((size, size), Image.Resampling.BILINEAR)
