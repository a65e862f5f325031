"""The sample inputs of deployments are drawn or made up: nobody's frame, slice or seedling."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.common import deployments
from tests.deploy.common import deploy, image_deployments

SIDE = 32
ALIKE = 0.97
"""Correlation of two small grey images from which on one may be a copy of the other."""


def small(path: Path) -> np.ndarray:
    """(SIDE * SIDE,) grey, of mean 0 and length 1."""
    with Image.open(path) as image:
        image.draft("L", (4 * SIDE, 4 * SIDE))
        grey = np.asarray(image.convert("L").resize((SIDE, SIDE)), np.float64).ravel()
    grey -= grey.mean()
    return grey / (np.linalg.norm(grey) or 1)


def test_no_sample_image_is_one_of_the_real_data(data_root: Path) -> None:
    real = [p for name in ("endoscopy4", "kidney2") for p in (data_root / name).rglob("*.jpg")]
    if not real:
        pytest.skip(f"there is no .jpg below {data_root}")
    known = np.stack([small(path) for path in real])
    assert (known @ small(real[0])).max() > ALIKE, "a copy would not be found"
    for deployment in image_deployments():
        nearest = known @ small(deploy(deployment) / "sample-input.jpg")
        assert nearest.max() < ALIKE, f"{deployment}: {real[int(nearest.argmax())]}"


def test_no_sample_record_is_one_of_the_real_data(data_root: Path) -> None:
    path = data_root / "treesurvival" / "Tree_Data.csv"
    if not path.is_file():
        pytest.skip(f"there is no {path}")
    with path.open(encoding="utf-8-sig") as file:
        real = [{key: _plain(value) for key, value in row.items()} for row in csv.DictReader(file)]
    samples = [
        record
        for deployment in deployments()
        for found in deploy(deployment).glob("sample-input.*")
        for record in _records(found)
    ]
    assert samples
    for sample in samples:
        wanted = {key: _plain(value) for key, value in sample.items()}
        assert not [row for row in real if wanted.items() <= row.items()], sample


def _records(path: Path) -> list[dict[str, object]]:
    if path.suffix == ".csv":
        return list(csv.DictReader(io.StringIO(path.read_text())))
    return json.loads(path.read_text()).get("records", []) if path.suffix == ".json" else []


def _plain(value: object) -> str | float:
    try:
        return float(str(value))
    except ValueError:
        return str(value).strip()
