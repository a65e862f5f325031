"""For any bytes, the reader gives RGB or a reason."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from datasets.common.images import ORIENTATION, BadImage, header, read_image, resize
from tests.common import ROOT

# Pillow grumbles about half of what is thrown at it here.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")

MAX_PIXELS = 1_000_000
MODES = {
    "1": "PNG", "L": "PNG", "LA": "PNG", "P": "PNG", "RGB": "JPEG", "RGBA": "PNG", "CMYK": "JPEG",
    "I;16": "PNG", "I": "TIFF", "F": "TIFF", "LAB": "TIFF", "YCbCr": "TIFF", "PA": "TIFF",
}  # fmt: skip
"""Every mode that a file can bring, and a format that keeps it."""

reused_folder = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=120
)


def encode(mode: str, width: int, height: int, orientation: int = 1, seed: int = 0) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(values)
    if mode == "I;16":
        image = Image.fromarray(values[..., 0].astype(np.uint16) * 257)
    elif mode == "LAB":
        image = Image.frombytes("LAB", (width, height), values.tobytes())
    elif mode == "PA":
        image = image.convert("P").convert("PA")
    else:
        image = image.convert(mode)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stream = io.BytesIO()
    try:
        image.save(stream, MODES[mode], exif=exif)
    except OSError:  # no format keeps PA
        image.convert("RGBA").save(stream, "PNG", exif=exif)
    return stream.getvalue()


def read(folder: Path, data: bytes) -> np.ndarray:
    path = folder / "image"
    path.write_bytes(data)
    return read_image(path, MAX_PIXELS)


@given(st.sampled_from(sorted(MODES)), st.integers(1, 70), st.integers(1, 70), st.integers(0, 9))
@reused_folder
def test_every_mode_size_and_orientation_becomes_rgb(
    tmp_path: Path, mode: str, width: int, height: int, orientation: int
) -> None:
    pixels = read(tmp_path, encode(mode, width, height, orientation))
    turned = orientation in (5, 6, 7, 8)
    assert pixels.dtype == np.uint8
    assert pixels.shape == ((width, height, 3) if turned else (height, width, 3))


@given(
    st.sampled_from(sorted(MODES)),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12),
    st.floats(0, 1),
)
@reused_folder
def test_corrupt_bytes_give_pixels_or_a_reason(
    tmp_path: Path, mode: str, changes: list[tuple[float, int]], keep: float
) -> None:
    data = bytearray(encode(mode, 23, 17))
    for where, value in changes:
        data[int(where * (len(data) - 1))] = value
    check_answer(tmp_path, bytes(data[: max(1, int(keep * len(data)))] if keep < 0.5 else data))


@given(st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"BM"]),
       st.binary(max_size=200))  # fmt: skip
@reused_folder
def test_arbitrary_bytes_give_pixels_or_a_reason(tmp_path: Path, start: bytes, rest: bytes) -> None:
    check_answer(tmp_path, start + rest)


def check_answer(folder: Path, data: bytes) -> None:
    try:
        pixels = read(folder, data)
    except BadImage as bad:
        assert bad.reason and bad.path and bad.path.name == "image"
    else:
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3


def test_a_rotated_photograph_stands_upright(tmp_path: Path) -> None:
    upright = np.zeros((20, 30, 3), np.uint8)
    upright[:10, :15] = (255, 0, 0)
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # the camera was turned: viewers turn by 90 degrees clockwise
    path = tmp_path / "turned.png"
    Image.fromarray(np.rot90(upright)).save(path, exif=exif)
    assert np.array_equal(read_image(path, MAX_PIXELS), upright)


def test_sixteen_bits_keep_their_full_range(tmp_path: Path) -> None:
    values = np.array([[0, 256, 32768, 65535]], np.uint16)
    path = tmp_path / "deep.png"
    Image.fromarray(values).save(path)
    assert read_image(path, MAX_PIXELS)[0, :, 0].tolist() == [0, 0, 127, 255]


def test_transparency_lies_on_black(tmp_path: Path) -> None:
    path = tmp_path / "clear.png"
    Image.new("RGBA", (8, 8), (200, 100, 50, 0)).save(path)
    assert not read_image(path, MAX_PIXELS).any()
    palette = Image.new("P", (8, 8))
    palette.putpalette([255, 255, 255])
    palette.save(path, transparency=0)
    assert not read_image(path, MAX_PIXELS).any()


def test_cmyk_keeps_its_colour(tmp_path: Path) -> None:
    path = tmp_path / "print.jpg"
    Image.new("RGB", (16, 16), (220, 40, 30)).convert("CMYK").save(path, quality=95)
    assert np.abs(read_image(path, MAX_PIXELS).mean((0, 1)) - (220, 40, 30)).max() < 6


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    path = tmp_path / "moving.gif"
    frames = [Image.new("RGB", (9, 7), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert read_image(path, MAX_PIXELS)[3, 3].tolist() == [255, 0, 0]


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0" * 99))


@pytest.mark.parametrize("side", [1_001, 10_000, 30_000])
def test_too_many_pixels_are_refused_by_the_header(tmp_path: Path, side: int) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(png_header(side, side))  # decoding would say that the data are cut short
    with pytest.raises(BadImage, match=r"more than 1000000 pixels"):
        read_image(path, MAX_PIXELS)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"%PDF-1.4 no picture", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (encode("RGB", 64, 64)[:-900], "cannot be decoded"),
    ],
    ids=["zero bytes", "a document", "a program for Ghostscript", "a truncated JPEG"],
)
def test_a_bad_file_says_why(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "bad.jpg"
    path.write_bytes(data)
    with pytest.raises(BadImage, match=reason):
        read_image(path, MAX_PIXELS)


@pytest.mark.parametrize("mode", MODES)
def test_a_header_says_the_size_before_anything_is_decoded(mode: str) -> None:
    content = encode(mode, 70, 30)
    known = header(content)
    assert (known.width, known.height, known.frames, known.pixels) == (70, 30, 1, 2100)
    assert known.format == Image.open(io.BytesIO(content)).format


@pytest.mark.parametrize("mode", MODES)
def test_shrinking_first_gives_the_pixels_of_shrinking_last(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "image"
    path.write_bytes(encode(mode, 301, 1203, seed=3))
    if MODES[mode] != "JPEG":  # that is shrunk while it is decoded
        whole = read_image(path, MAX_PIXELS)
        assert np.array_equal(read_image(path, MAX_PIXELS, size=40), resize(whole, 40))


def test_floats_are_scaled_by_the_whole_image_not_by_a_part_of_it(tmp_path: Path) -> None:
    values = np.full((3000, 400), 0.5, np.float32)
    path = tmp_path / "float.tif"
    Image.fromarray(values).save(path)
    assert set(read_image(path, 10**7).ravel().tolist()) == {128}
    values[-1, -1] = 200  # so all are 0..255
    Image.fromarray(values).save(path)
    assert set(read_image(path, 10**7).ravel().tolist()) == {0, 200}


HEAVY: dict[str, tuple[str, str, dict[str, Any], int]] = {
    # what: (mode, format, options, bytes a pixel that decoding may take at most)
    "float": ("F", "TIFF", {}, 9),
    "16 bit": ("I;16", "PNG", {"compress_level": 1}, 7),
    "32 bit": ("I", "TIFF", {}, 9),
    "palette with transparency": ("P", "PNG", {"transparency": 0, "compress_level": 1}, 9),
    "PNG with alpha": ("RGBA", "PNG", {"compress_level": 1}, 12),
    "WebP with alpha": ("RGBA", "WEBP", {"method": 0, "quality": 20}, 20),
    "JPEG 2000": ("RGB", "JPEG2000", {"irreversible": True, "quality_layers": [200]}, 23),
}
"""The reader takes 5.3, 3.1, 5.1, 5.2, 8.2, 16.4 and 19.2; converting whole images took 32.0, 12.0,
16.0, 13.0, 16.0, 24.2 and 19.2. The last two are what WebP and OpenJPEG need by themselves."""

PEAK = """
import sys
from pathlib import Path
from datasets.common.images import read_image
def high():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
small, large = map(Path, sys.argv[1:])
read_image(small, 10**8, size=64)
Path("/proc/self/clear_refs").write_text("5")
before = high()
read_image(large, 10**8, size=64)
print(high() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
@pytest.mark.parametrize("what", HEAVY)
def test_decoding_takes_few_bytes_a_pixel(what: str, tmp_path: Path) -> None:
    mode, form, options, most = HEAVY[what]
    paths = []
    for side in (64, 3000):
        grey = np.tile(np.arange(side, dtype=np.uint16) * 20, (side, 1))
        image = Image.fromarray(grey)
        if mode == "F":
            image = Image.fromarray(grey.astype(np.float32) / 65535)
        elif mode == "I":
            image = Image.fromarray(grey.astype(np.int32))
        elif mode != "I;16":
            image = Image.fromarray((grey // 256).astype(np.uint8)).convert(mode)
        if mode == "RGBA":
            image.putalpha(128)
        paths.append(tmp_path / f"{side}")
        image.save(paths[-1], form, **options)
    command = [sys.executable, "-c", PEAK, *map(str, paths)]
    peak = int(subprocess.check_output(command, cwd=ROOT, text=True))
    assert peak / 3000**2 < most


def test_a_missing_file_and_a_folder_are_bad_images(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jpg", tmp_path):
        with pytest.raises(BadImage):
            read_image(path, MAX_PIXELS)


@pytest.mark.parametrize("shape", [(1024, 768), (450, 900), (100, 70)])
def test_a_large_jpeg_decoded_small_looks_as_if_decoded_whole(
    shape: tuple[int, int], tmp_path: Path
) -> None:
    width, height = shape
    x, y = np.meshgrid(np.linspace(0, 20, width), np.linspace(0, 15, height))
    waves = np.stack([127 + 120 * np.sin(x + turn) * np.cos(y) for turn in range(3)], axis=2)
    path = tmp_path / "large.jpg"
    Image.fromarray(waves.astype(np.uint8)).save(path, quality=90)
    small = read_image(path, MAX_PIXELS, size=96)
    whole = resize(read_image(path, MAX_PIXELS), 96)
    assert small.shape == (96, 96, 3)
    difference = np.abs(small.astype(int) - whole)
    assert difference.mean() < 3 and difference.max() < 16  # one pixel aside it would be 9
    assert difference.any() == (min(shape) >= 2 * 96)


def test_resizing_stretches_to_the_square() -> None:
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 20:] = 255
    square = resize(wide, 16)
    assert square.shape == (16, 16, 3) and square.dtype == np.uint8
    assert square[:, :6].max() == 0 and square[:, 10:].min() == 255
