"""The service reads images as training does, pixel by pixel, though it shares no code with it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.common import images as training
from deploy.serving import images as serving
from tests.deploy.common import encoded, frame, odd_images

SIZES = (32, 96, 224)


@pytest.mark.parametrize("kind", odd_images())
def test_every_kind_of_image_has_the_pixels_of_training(kind: str, tmp_path: Path) -> None:
    content = odd_images()[kind]
    path = tmp_path / "image"
    path.write_bytes(content)
    ours, theirs = serving.decode(content, 10**8), training.read_image(path, 10**8)
    np.testing.assert_array_equal(ours, theirs)
    for size in SIZES:
        np.testing.assert_array_equal(serving.resize(ours, size), training.resize(theirs, size))


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_orientation_is_turned_as_in_training(turn: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[serving.ORIENTATION] = turn
    content = encoded(frame(3, 1), "JPEG", exif=exif)
    path = tmp_path / "image.jpg"
    path.write_bytes(content)
    ours = serving.decode(content, 10**8)
    np.testing.assert_array_equal(ours, training.read_image(path, 10**8))
    plain = serving.decode(encoded(frame(3, 1), "JPEG"), 10**8)
    assert np.array_equal(ours, plain) == (turn == 1)


def test_the_formats_are_those_of_training() -> None:
    assert {name for name, _ in serving.SIGNATURES} == set(training.FORMATS)
