"""Every dataset of images builds from its sample and honours the contract."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf
from pandas.api.types import is_integer_dtype

from conf.schema import ImageDataset
from datasets.common.contract import COLUMNS, Images
from datasets.common.images import read_image
from tests.common import datasets, part

PER_CLASS = 10


@pytest.fixture(scope="module", params=datasets(kind=ImageDataset))
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    name = request.param
    config = part("dataset", name, "dataset.source=sample", f"dataset.sample_images={PER_CLASS}")
    build = importlib.import_module(f"datasets.{name}.dataset").build
    cache = tmp_path_factory.mktemp(name)
    return config, build(config, cache), build, cache


def test_the_sample_is_complete(built) -> None:
    config, images, _, _ = built
    assert isinstance(images, Images)
    assert images.name == config.name and images.classes == tuple(config.classes)
    assert images.frame.columns.tolist() == COLUMNS
    assert set(images.SPLIT_COLUMNS) <= set(images.frame.columns)
    assert images.frame[["label", images.GROUP_COLUMN]].dtypes.map(is_integer_dtype).all()
    assert images.frame.index.tolist() == list(range(len(images.frame)))
    counts = images.frame.groupby(["split", "label"]).size().unstack()
    assert set(counts.index) == {"train", "validation", "test"}
    assert counts.notna().all(axis=None) and (counts.sum() == PER_CLASS).all()
    assert images.quarantined.empty and images.duplicates.empty
    assert re.fullmatch("[0-9a-f]{64}", images.digest)
    assert images.frame["sha256"].is_unique


def test_no_near_duplicates_cross_the_splits(built) -> None:
    _, images, _, _ = built
    assert (images.frame.groupby("cluster")["split"].nunique() == 1).all()


def test_every_image_reads_in_its_stated_size(built) -> None:
    config, images, _, _ = built
    for row in images.frame.itertuples():
        pixels = read_image(Path(row.path), config.max_pixels)
        assert pixels.dtype == np.uint8 and pixels.shape == (row.height, row.width, 3)


def test_chosen_classes_show_what_their_names_say(built, tmp_path: Path) -> None:
    config, images, build, _ = built
    names = list(config.classes)[::-1][:2]
    chosen = OmegaConf.merge(config, {"classes": names})
    assert isinstance(chosen, DictConfig)
    few = build(chosen, tmp_path).frame
    contents = images.frame.set_index("file")["sha256"]
    assert few.set_index("file")["sha256"].to_dict() == contents[few["file"]].to_dict()
    for name, label in zip(names, (0, 1), strict=True):
        assert few.loc[few["label"] == label, "file"].str.contains(f"/{name}/").all()


def test_building_again_gives_the_same_and_another_seed_another_set(built, tmp_path: Path) -> None:
    config, images, build, cache = built
    assert build(config, cache).digest == images.digest
    assert build(config, tmp_path / "elsewhere").digest == images.digest
    other = OmegaConf.merge(config, {"seed": config.seed + 1})
    assert isinstance(other, DictConfig)
    assert not set(build(other, cache).frame["sha256"]) & set(images.frame["sha256"])
