"""The service reads images as training does, pixel by pixel, though it shares no code with it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.common import images as training
from deploy.serving import images as serving
from tests.deploy.common import SIDE, encoded, frame, odd_images

SIZES = (32, 96, 224, 1024)
"""The last is larger than any of the images: nothing hides in the shrinking."""


@pytest.mark.parametrize("kind", odd_images())
def test_every_kind_of_image_has_the_pixels_of_training(kind: str, tmp_path: Path) -> None:
    content = odd_images()[kind]
    path = tmp_path / "image"
    path.write_bytes(content)
    height, width = training.read_image(path, 10**8).shape[:2]
    for size in SIZES:
        ours, shape = serving.decode(content, 10**8, size)
        np.testing.assert_array_equal(ours, training.read_image(path, 10**8, size=size))
        assert shape == (width, height)


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_orientation_is_turned_as_in_training(turn: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[serving.ORIENTATION] = turn
    content = encoded(frame(3, 1), "JPEG", exif=exif)
    path = tmp_path / "image.jpg"
    path.write_bytes(content)
    ours, shape = serving.decode(content, 10**8, SIDE)
    np.testing.assert_array_equal(ours, training.read_image(path, 10**8, size=SIDE))
    plain, (width, height) = serving.decode(encoded(frame(3, 1), "JPEG"), 10**8, SIDE)
    assert np.array_equal(ours, plain) == (turn == 1)
    assert shape == ((width, height) if turn < 5 else (height, width)) and width != height


def test_the_reader_is_that_of_training() -> None:
    assert serving.READER == training.READER


def test_the_formats_are_those_of_training() -> None:
    assert {name for name, _ in serving.SIGNATURES} == set(training.FORMATS)
