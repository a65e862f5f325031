"""A generated sample is written once, completely, in three splits."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from conf.schema import Source
from datasets.common.digests import look
from datasets.common.folders import scan
from datasets.common.images import read_image
from datasets.common.samples import APART, generate
from tests.datasets.common import CLASSES, config, on_a_tiny_disk, picture


def draw(label: int, seed: np.random.SeedSequence) -> np.ndarray:
    return picture(int(seed.generate_state(1)[0]) + label)


def settings(**values: int):
    return config(source=Source.sample, **values)


@pytest.mark.parametrize(("count", "splits"), [(5, (3, 1, 1)), (20, (12, 4, 4)), (21, (13, 4, 4))])
def test_every_class_is_split_sixty_twenty_twenty(
    tmp_path: Path, count: int, splits: tuple[int, int, int]
) -> None:
    folder = generate(draw, settings(sample_images=count), tmp_path)
    for split, expected in zip(("train", "validation", "test"), splits, strict=True):
        for name in CLASSES:
            assert len(list((folder / split / name).glob("*.jpg"))) == expected


def test_the_limit_caps_the_sample(tmp_path: Path) -> None:
    folder = generate(draw, settings(sample_images=50, limit=6), tmp_path)
    assert len(list(folder.rglob("*.jpg"))) == 12


def test_a_sample_is_drawn_once(tmp_path: Path) -> None:
    drawn: list[int] = []

    def counted(label: int, seed: np.random.SeedSequence) -> np.ndarray:
        drawn.append(label)
        return draw(label, seed)

    first = generate(counted, settings(sample_images=5), tmp_path)
    assert generate(counted, settings(sample_images=5), tmp_path) == first
    assert sorted(drawn) == [0] * 5 + [1] * 5


def test_a_sample_is_drawn_anew_when_any_module_of_its_package_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "drawn_frames"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from tests.datasets.test_samples import draw as one\n"
        "def draw(label, seed): return one(label, seed)\n"
    )
    (package / "shape.py").write_text("SIDE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    packaged = importlib.import_module("drawn_frames").draw
    first = generate(packaged, settings(sample_images=5), tmp_path)
    assert generate(packaged, settings(sample_images=5), tmp_path) == first
    (package / "shape.py").write_text("SIDE = 2\n")
    assert generate(packaged, settings(sample_images=5), tmp_path) != first


def test_what_looks_like_an_earlier_image_is_drawn_again(tmp_path: Path) -> None:
    def repeating(label: int, seed: np.random.SeedSequence) -> np.ndarray:
        *_, number, attempt = seed.entropy  # type: ignore[misc]
        return picture(1 if attempt == 0 and number > 2 else 10 * number + label + attempt)

    folder = generate(repeating, settings(sample_images=6), tmp_path)
    looks = [int(look(read_image(p, 10**6)), 16) for p in folder.rglob("*.jpg")]
    apart = [(a ^ b).bit_count() for i, a in enumerate(looks) for b in looks[:i]]
    assert len(looks) == 12 and min(apart) > APART


def test_what_is_drawn_together_stays_together(tmp_path: Path) -> None:
    def slices(label: int, seed: np.random.SeedSequence) -> np.ndarray:
        first = draw(label, seed)
        return np.stack([first, first[::-1], first[:, ::-1]])

    folder = generate(slices, settings(sample_images=12), tmp_path, slices=3)
    table, rejected = scan(folder, CLASSES)
    assert rejected.empty and len(table) == 24
    series = table.groupby("group").agg(files=("file", list), splits=("split", "nunique"))
    assert (series["splits"] == 1).all()
    assert sorted(map(len, series["files"])) == [2] * 6 + [3] * 4
    for files in series["files"]:
        first, second = (read_image(folder / file, 10**6).astype(int) for file in files[:2])
        assert np.abs(first[::-1] - second).mean() < 20


def test_an_interrupted_run_leaves_no_half_sample(tmp_path: Path) -> None:
    def interrupted(label: int, seed: np.random.SeedSequence) -> np.ndarray:
        if label:
            raise KeyboardInterrupt
        return draw(label, seed)

    with pytest.raises(KeyboardInterrupt):
        generate(interrupted, settings(sample_images=5), tmp_path)
    assert not list((tmp_path / "samples").iterdir())
    assert len(list(generate(draw, settings(sample_images=5), tmp_path).rglob("*.jpg"))) == 10


FULL_DISK = """
import sys
from pathlib import Path
from conf.errors import UserError
from datasets.common import digests
from datasets.common.digests import look
from datasets.common.images import read_image
from datasets.common.samples import APART, generate
from tests.datasets.test_samples import draw, settings
cache = Path(sys.argv[1])
try:
    generate(draw, settings(sample_images=300), cache)
except UserError as error:
    assert "the disk is full" in str(error) and str(cache) in str(error), error
    assert not list((cache / "samples").iterdir()), "half a sample was left behind"
    print("sample told")
with (cache / "ballast").open("wb", buffering=0) as file:
    try:
        while file.write(bytes(4096)):
            pass
    except OSError:
        pass
try:
    digests.measure([sys.argv[2]], 10**6, cache)
except UserError as error:
    assert "the disk is full" in str(error), error
    print("digests told")
"""


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    output = on_a_tiny_disk(tmp_path / "disk", FULL_DISK, __file__)
    assert "sample told" in output and "digests told" in output
