"""Splits that hold, and pixels decoded once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conf.errors import UserError
from conf.schema import Split, SplitBy
from datasets.common.contract import Images
from datasets.common.images import read_image, resize
from tests.common import configuration
from train.common.data.pixels import decode
from train.common.data.split import split_images
from train.common.data.types import DecodedImages

NOTHING = pd.DataFrame(columns=["file", "sha256", "split", "label"])


def samples(
    labels: list[int], clusters: list[int], official: list[str] | None = None
) -> DecodedImages:
    count = len(labels)
    table = pd.DataFrame(
        {
            "path": [f"/{i}.png" for i in range(count)],
            "file": [f"{i}.png" for i in range(count)],
            "label": labels,
            "split": official or [""] * count,
            "sha256": [f"{i:064x}" for i in range(count)],
            "cluster": clusters,
            "width": 8,
            "height": 8,
        }
    )
    classes = tuple(f"class{k}" for k in range(max(labels) + 1))
    return DecodedImages(
        name="toy", classes=classes, frame=table, quarantined=NOTHING, duplicates=NOTHING,
        digest="0" * 64, pixels=Path(),
    )  # fmt: skip


def by(kind: SplitBy, **settings: Any) -> Split:
    return replace(Split(by=kind), **settings)


@given(seed=st.integers(0, 1000), groups=st.integers(40, 90), most=st.integers(1, 4))
def test_no_cluster_is_ever_in_two_splits(seed: int, groups: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(groups), rng.integers(1, most + 1, groups))
    labels = np.arange(groups)[clusters] % 2
    given_samples = samples(labels.tolist(), clusters.tolist())
    splits = split_images(given_samples, by(SplitBy.cluster, seed=seed))
    assert splits.crossing == 0
    parts = [set(clusters[rows]) for rows in (splits.train, splits.validation, splits.test)]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    rows = np.concatenate([splits.train, splits.validation, splits.test])
    assert sorted(rows) == list(range(len(labels)))


def test_shares_and_classes_are_kept_and_the_seed_decides() -> None:
    given_samples = samples([0] * 300 + [1] * 100, list(range(400)))
    splits = split_images(given_samples, by(SplitBy.cluster))
    for rows in (splits.validation, splits.test):
        assert len(rows) == pytest.approx(0.15 * 400, abs=10)
        assert splits.labels(rows).mean() == pytest.approx(0.25, abs=0.03)
    again = split_images(given_samples, by(SplitBy.cluster))
    other = split_images(given_samples, by(SplitBy.cluster, seed=1))
    assert splits.digest == again.digest != other.digest


def test_a_random_split_keeps_classes_and_lets_near_duplicates_cross() -> None:
    given_samples = samples([0] * 300 + [1] * 100, np.repeat(np.arange(100), 4).tolist())
    splits = split_images(given_samples, by(SplitBy.random))
    for rows in (splits.validation, splits.test):
        assert len(rows) == pytest.approx(0.15 * 400, abs=10)
        assert splits.labels(rows).mean() == pytest.approx(0.25, abs=0.03)
    assert splits.crossing > 50
    assert split_images(given_samples, by(SplitBy.random)).digest == splits.digest
    assert split_images(given_samples, by(SplitBy.random, seed=1)).digest != splits.digest


@pytest.mark.parametrize("kind", [SplitBy.cluster, SplitBy.random])
def test_every_image_is_test_in_one_fold(kind: SplitBy) -> None:
    given_samples = samples([0] * 120 + [1] * 40, np.repeat(np.arange(80), 2).tolist())
    folds = [split_images(given_samples, by(kind, folds=5, fold=k)) for k in range(5)]
    assert sorted(np.concatenate([splits.test for splits in folds])) == list(range(160))
    for splits in folds:
        assert not set(splits.test) & set(splits.train) | set(splits.test) & set(splits.validation)
        assert len(splits.validation) == pytest.approx(0.15 * 160, abs=10)
        assert splits.labels(splits.test).mean() == pytest.approx(0.25, abs=0.05)
        assert (splits.crossing == 0) == (kind == SplitBy.cluster)


def test_official_splits_are_honoured_and_crossing_clusters_counted() -> None:
    official = ["train"] * 4 + ["validation"] * 4 + ["test"] * 4
    given_samples = samples([0, 1] * 6, [0, 1, 2, 3, 0, 5, 6, 7, 8, 9, 10, 11], official)
    splits = split_images(given_samples, by(SplitBy.official))
    assert splits.train.tolist() == [0, 1, 2, 3]
    assert splits.test.tolist() == [8, 9, 10, 11]
    assert splits.crossing == 1


def test_images_that_stand_in_two_official_splits_stop_the_run() -> None:
    official = ["train"] * 4 + ["validation"] * 4 + ["test"] * 4
    given_samples = samples([0, 1] * 6, list(range(12)), official)
    twins = given_samples.frame[["file", "sha256", "split", "label"]].head(2)
    object.__setattr__(given_samples, "duplicates", twins)
    with pytest.raises(UserError, match=r"byte for byte.*0\.png.*split\.by=cluster"):
        split_images(given_samples, by(SplitBy.official))


@pytest.mark.parametrize(
    ("labels", "kind", "settings", "message"),
    [
        ([0, 1] * 20, SplitBy.official, {}, r"no test, train, validation split.*split\.by=cluster"),
        ([0] * 40 + [1] * 2, SplitBy.cluster, {}, r"class class1 has 2 independent images"),
        ([0, 1] * 20, SplitBy.cluster, {"test": 0.0}, r"split\.test=0\.0 must be positive"),
        ([0, 1] * 20, SplitBy.cluster, {"test": 0.9}, r"split\.test=0\.9 must be positive"),
        ([0] * 40 + [1] * 2, SplitBy.random, {}, r"class class1 has 2 independent images"),
        ([0, 1] * 20, SplitBy.official, {"folds": 5, "fold": 0}, r"needs split\.by=cluster"),
        ([0, 1] * 20, SplitBy.cluster, {"folds": 5, "fold": 5}, r"fold=5 of split\.folds=5 is no"),
        ([0, 1] * 20, SplitBy.cluster, {"folds": 5}, r"fold=None of split\.folds=5 is no fold"),
        ([0, 1] * 20, SplitBy.cluster, {"folds": 1, "fold": 0}, r"two or more folds are needed"),
        ([0, 1] * 20, SplitBy.cluster, {"fold": 0}, r"fold=0 of split\.folds=None is no fold"),
    ],
)
def test_splits_that_cannot_be_made_say_why(
    labels: list[int], kind: SplitBy, settings: dict, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        split_images(samples(labels, list(range(len(labels)))), by(kind, **settings))


def pictured(folder: Path, count: int = 80) -> tuple[DecodedImages, Any]:
    """Images on disk, and the configuration that decodes them."""
    rng = np.random.default_rng(0)
    given_samples = samples([0, 1] * (count // 2), list(range(count)))
    for row in range(count):
        path = folder / f"{row}.png"
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
        given_samples.frame.loc[row, "path"] = str(path)
    config = configuration(
        "+pipeline=train_resnet50v2ft", "env.limits.image_size=32", f"env.cache={folder}/cache"
    )
    return given_samples, config


def decoded(images: DecodedImages, config: Any) -> DecodedImages:
    made = {name: value for name, value in vars(images).items() if name != "pixels"}
    return decode(Images(**made), config.dataset, config.transform, Path(config.env.cache))


def test_pixels_are_decoded_once_in_the_order_of_the_table(tmp_path: Path) -> None:
    given_samples, config = pictured(tmp_path)
    first = decoded(given_samples, config)
    pixels = first.load()
    assert pixels.shape == (80, 32, 32, 3)
    for row in (0, 41, 79):
        image = resize(read_image(tmp_path / f"{row}.png", 10**6), 32)
        np.testing.assert_array_equal(pixels[row], image)
    (tmp_path / "0.png").unlink()
    assert decoded(given_samples, config).pixels == first.pixels  # not read again


def test_torn_pixels_count_as_absent_and_are_decoded_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given_samples, config = pictured(tmp_path, count=4)
    path = decoded(given_samples, config).pixels
    assert path is not None
    content = path.read_bytes()
    for torn in (0, 1, 9, 60, 127, 128, 129, 128 + 32 * 32 * 3, len(content) - 1):
        path.write_bytes(content[:torn])
        (path.parent / f".draft-0123-{path.name}").write_bytes(b"left by a kill")
        caplog.clear()
        assert decoded(given_samples, config).pixels == path
        assert path.read_bytes() == content, torn
        assert "it counts as absent" in caplog.text
    assert list(path.parent.iterdir()) == [path]


def test_another_label_or_class_is_another_split() -> None:
    labels, official = [0, 1] * 6, ["train"] * 4 + ["validation"] * 4 + ["test"] * 4
    first = split_images(samples(labels, list(range(12)), official), by(SplitBy.official))
    relabelled = samples([1, 0, 1, 0, *labels[4:]], list(range(12)), official)
    assert split_images(relabelled, by(SplitBy.official)).digest != first.digest
    renamed = samples(labels, list(range(12)), official)
    object.__setattr__(renamed, "classes", ("class0", "other"))
    assert split_images(renamed, by(SplitBy.official)).digest != first.digest
