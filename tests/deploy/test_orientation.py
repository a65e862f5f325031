"""Every way to a model turns a picture upright alike: each format that can say it, each way to."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image

from datasets.common.images import ORIENTATION, Window, read_image
from deploy.serving.images.engine import Engine
from tests.deploy.common import SIDE, Trained, frame, run_script
from tests.deploy.test_predict import TOLERANCE, assert_same, predictions
from train.jobs.image_prediction import frames

UPRIGHT = frame(1, 0).resize((160, 120))
TURNED_BY = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera that was held so stores what stands upright (EXIF 2.32, section 4.6.4)."""
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": ("JPEG", {"quality": 98, "subsampling": 0}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {"lossless": True}),
    "tiff": ("TIFF", {}),
    "tiff by libtiff": ("TIFF", {"compression": "tiff_lzw"}),
}
"""The formats in which Pillow finds an orientation; TIFF on both of its roads."""


def stored(form: str, orientation: int) -> bytes:
    """`UPRIGHT` as a camera that was held so stores it."""
    turn = TURNED_BY[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    buffer = io.BytesIO()
    name, options = FORMATS[form]
    (UPRIGHT if turn is None else UPRIGHT.transpose(turn)).save(buffer, name, exif=exif, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of each format and orientation."""
    root = tmp_path_factory.mktemp("turned")
    for form in FORMATS:
        for orientation in TURNED_BY:
            (root / f"{form} {orientation}").write_bytes(stored(form, orientation))
    return root


@pytest.mark.parametrize("orientation", TURNED_BY)
@pytest.mark.parametrize("form", FORMATS)
def test_training_and_batch_scoring_see_it_upright(
    form: str, orientation: int, folder: Path
) -> None:
    path = folder / f"{form} {orientation}"
    whole = read_image(path, 10**6).astype(int)
    difference = np.abs(whole - np.asarray(UPRIGHT))
    assert difference.mean() < 2 if form == "jpeg" else not difference.any()
    [scored] = frames(path, SIDE, Window(), 10**6)
    np.testing.assert_array_equal(scored, read_image(path, 10**6, size=SIDE))


def test_the_service_and_the_command_line_see_it_as_training_does(
    folder: Path, service: str, trained: Trained
) -> None:
    files = sorted(folder.iterdir())
    pixels = np.stack([read_image(path, 10**6, size=SIDE) for path in files])
    expected = Engine(trained.onnx, 1).run(pixels).probabilities
    on_its_side = np.stack([np.rot90(image) for image in pixels])
    others = Engine(trained.onnx, 1).run(on_its_side).probabilities
    assert np.abs(others - expected).max() > 10 * TOLERANCE  # else it would prove nothing
    done = run_script(trained, "deploy/predict.py", str(folder))
    assert done.returncode == 0, done.stderr
    rows = {row["file"]: row for row in csv.DictReader(done.stdout.splitlines())}
    for path, probabilities in zip(files, expected, strict=True):
        sent = requests.post(f"{service}/predict", files={"image": path.read_bytes()})
        [answer] = predictions(sent)
        assert (path.name, answer["width"], answer["height"]) == (path.name, *UPRIGHT.size)
        assert_same(answer, probabilities)
        printed = [float(rows[path.name][label]) for label in answer["probabilities"]]
        np.testing.assert_allclose(printed, probabilities, atol=TOLERANCE)
