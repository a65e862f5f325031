"""A set that breaks the contract is refused with a message that names the fault."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from conf.errors import UserError
from conf.schema import Archive, Source
from datasets.common.contract import COLUMNS
from datasets.common.sources import load
from tests.datasets.common import build, config, draw, image_set, save, write_manifest

SPLITS = ("train", "validation", "test")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return image_set(tmp_path / "set")


def test_a_folder_a_class_is_read(root: Path) -> None:
    images = build(root)
    assert images.frame.columns.tolist() == COLUMNS
    assert images.frame["label"].tolist() == [0] * 4 + [1] * 4
    assert set(images.frame["split"]) == {""}
    assert images.frame["file"].iat[0] == "0_first/0.png"
    assert Path(images.frame["path"].iat[0]).is_absolute()
    assert (images.frame["width"].iat[0], images.frame["height"].iat[0]) == (48, 40)
    assert images.quarantined.empty and images.duplicates.empty and len(images.digest) == 64


def test_the_same_data_have_the_same_digest_elsewhere(root: Path, tmp_path: Path) -> None:
    there = shutil.copytree(root, tmp_path / "elsewhere" / "copy")
    assert build(there).digest == build(root).digest
    save(there / "0_first" / "0.png", seed=77)
    assert build(there).digest != build(root).digest


BROKEN: dict[str, tuple[Any, dict[str, Any], str]] = {
    # what is wrong: (change of the folder, settings, part of the message)
    "the folder is missing": (shutil.rmtree, {}, r"dataset.path=.* is no folder"),
    "no path is given": (None, {"path": None}, "needs dataset.path="),
    "a class folder is missing": (
        lambda r: shutil.rmtree(r / "1_second"), {},
        r"has no class 1_second; dataset.classes=\[0_first, 1_second\], choices: 0_first$"),
    "a class is misspelt": (
        None, {"classes": ["0_first", "1_secnod"]},
        "has no class 1_secnod; .* choices: 0_first, 1_second; did you mean 1_second?"),
    "a class is empty": (
        lambda r: [p.unlink() for p in (r / "1_second").iterdir()], {},
        "no usable image of class 1_second"),
    "there is one class only": (None, {"classes": ["0_first"]}, "two classes or more|no class"),
    "a class is named twice": (None, {"classes": ["0_first", "0_first"]}, "names a class twice"),
    "there are no images": (
        lambda r: [p.unlink() for p in r.rglob("*.png")], {}, "has no images"),
    "too many are bad": (
        lambda r: (r / "0_first" / "0.png").write_bytes(b"no"), {},
        r"(?s)1 of 8 images cannot be used.*max_bad_share=0.01.*0_first/0.png: not an image"),
    "all are too small": (None, {"min_side": 41}, r"48 x 40: a side under 41 pixels"),
    "all are too large": (
        None, {"max_pixels": 100}, r"48 x 40: more than 100 pixels \(dataset.max_pixels\)"),
    "an image has two labels": (
        lambda r: shutil.copy(r / "0_first" / "0.png", r / "1_second" / "z.png"), {},
        "two labels.*0_first/0.png and 1_second/z.png"),
    "no image may be used": (None, {"limit": 0}, "dataset.limit=0"),
    "splits and classes lie side by side": (
        lambda r: (r / "train").mkdir(), {}, "splits that hold class folders, or class folders"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", BROKEN)
def test_it_is_refused_when(wrong: str, root: Path) -> None:
    change, settings, message = BROKEN[wrong]
    if change:
        change(root)
    with pytest.raises(UserError, match=message):
        build(root, **settings)


def test_a_class_missing_in_one_split_is_named(tmp_path: Path) -> None:
    root = image_set(tmp_path / "set", splits=SPLITS)
    for path in (root / "test" / "1_second").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match="split test has no usable image of class 1_second"):
        build(root, max_bad_share=1.0)


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    root = image_set(tmp_path / "set", classes=["0_first"])
    with pytest.raises(UserError, match="a classifier needs two classes or more"):
        build(root, classes=["0_first"])


def test_bad_files_are_quarantined_each_with_its_reason(root: Path) -> None:
    whole = (root / "0_first" / "0.png").read_bytes()
    (root / "0_first" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "0_first" / "empty.png").write_bytes(b"")
    (root / "0_first" / "notes.txt").write_text("seen by Dr. X")
    save(root / "1_second" / "deep" / "tiny.png", 5)
    Image.new("RGB", (31, 99)).save(root / "1_second" / "deep" / "tiny.png")
    save(root / "loose.png", 6)
    (root / "0_first" / ".DS_Store").write_bytes(b"\0")
    images = build(root, max_bad_share=0.5)
    reasons = images.quarantined.set_index("file")["reason"].to_dict()
    assert len(images.frame) == 8
    assert set(reasons) == {
        "0_first/cut.png", "0_first/empty.png", "0_first/notes.txt",
        "1_second/deep/tiny.png", "loose.png",
    }  # fmt: skip
    assert "cannot be decoded" in reasons["0_first/cut.png"]
    assert reasons["0_first/empty.png"] == "empty file: 0 bytes"
    assert "not an image" in reasons["0_first/notes.txt"]
    assert "side under 32 pixels" in reasons["1_second/deep/tiny.png"]
    assert "outside of every class" in reasons["loose.png"]


def test_identical_images_in_two_splits_are_listed(tmp_path: Path) -> None:
    root = image_set(tmp_path / "set", splits=SPLITS)
    shutil.copy(root / "train" / "0_first" / "0.png", root / "test" / "0_first" / "again.png")
    shutil.copy(root / "train" / "0_first" / "1.png", root / "train" / "0_first" / "twin.png")
    images = build(root)
    assert images.duplicates["file"].tolist() == ["test/0_first/again.png", "train/0_first/0.png"]
    clusters = images.frame.set_index("file")["cluster"]
    assert clusters["train/0_first/1.png"] == clusters["train/0_first/twin.png"]


def test_the_limit_draws_single_images_and_keeps_their_clusters(tmp_path: Path) -> None:
    root = image_set(tmp_path / "set", count=20)
    write_manifest(root, group=[f"g{number // 10}" for number in range(40)])  # two series a class
    drawn = [build(root, limit=8, seed=seed).frame for seed in range(6)]
    for table in drawn:
        assert table.groupby("label").size().tolist() == [8, 8]
        assert table["cluster"].nunique() > 2  # not one whole series of a class
    assert len({tuple(table["file"]) for table in drawn}) == 6
    fewer = build(root, limit=5, seed=0).frame
    assert set(fewer["file"]) < set(drawn[0]["file"])


def test_the_limit_holds_for_each_class_and_split_and_follows_the_seed(tmp_path: Path) -> None:
    root = image_set(tmp_path / "set", count=8, splits=("train", "test"))
    images = build(root, limit=3)
    assert set(images.frame.groupby(["label", "split"]).size()) == {3}
    assert build(root, limit=3).digest == images.digest
    assert build(root, limit=3, seed=1).digest != images.digest
    assert build(root, limit=99).digest == build(root).digest


def archived(folder: Path, count: int) -> dict[str, Archive]:
    """Three archives in the seeds' layout, the second one below a top folder."""
    entries = {}
    for i, (split, name) in enumerate(zip(SPLITS, ("train", "val", "test"), strict=True)):
        image_set(folder / split, count)
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
            for k, path in enumerate(sorted((folder / split).rglob("*.png"))):
                save(path, seed=100 * i + k)
                top = "val/" if name == "val" else ""
                archive.write(path, top + path.relative_to(folder / split).as_posix())
        shutil.rmtree(folder / split)
        entries[split] = Archive(uri=str(folder / f"{name}.zip"))
    return entries


def test_archives_become_the_three_splits(tmp_path: Path) -> None:
    entries = archived(tmp_path, count=3)
    settings = {"source": Source.archives, "archives": entries, "path": None}
    images = build(tmp_path / "x", **settings, expected=dict.fromkeys(SPLITS, 6))
    assert images.frame.groupby("split").size().to_dict() == dict.fromkeys(SPLITS, 6)
    assert images.frame["file"].str.fullmatch(r"(\w+)/\d_\w+/\d\.png").all()
    assert build(tmp_path / "x", **settings).digest == images.digest
    by_class = {"0_first": 9, "1_second": 9, "2_third": 4}  # the last is not chosen
    assert len(build(tmp_path / "x", **settings, expected=by_class).frame) == 18
    with pytest.raises(UserError, match=r"class 1_second has 9 files, expected 8 .*1_second\)"):
        build(tmp_path / "x", **settings, expected=by_class | {"1_second": 8})
    with pytest.raises(UserError, match="split test has 6 files, expected 7"):
        build(tmp_path / "x", **settings, expected=dict.fromkeys(SPLITS, 6) | {"test": 7})


@pytest.mark.parametrize("splits", [(), SPLITS])
def test_one_archive_may_hold_the_whole_set(tmp_path: Path, splits: tuple[str, ...]) -> None:
    home = image_set(tmp_path / "scans", count=3, splits=splits)
    path = shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path, home.name)
    settings = {"source": Source.archives, "archives": {"all": Archive(uri=path)}, "path": None}
    count = 6 * max(1, len(splits))
    images = build(tmp_path / "x", **settings, expected={"all": count})
    assert len(images.frame) == count and set(images.frame["split"]) == set(splits or [""])
    with pytest.raises(UserError, match=rf"the set has {count} files, expected 9 .*expected\.all"):
        build(tmp_path / "x", **settings, expected={"all": 9})


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["all", "train"], r"archives\.all holds the whole set: leave out those of train, or it"),
        (["holdout"], r"archives\.holdout: choices are train, validation, test or all"),
        (["train", "test"], r"needs dataset\.archives\.validation\.uri"),
    ],
)
def test_archives_that_make_no_set_are_refused(
    names: list[str], message: str, tmp_path: Path
) -> None:
    entries = {name: Archive(uri="/a.zip") for name in names}
    with pytest.raises(UserError, match=message):
        build(tmp_path / "x", source=Source.archives, archives=entries)


def test_an_archive_that_is_not_named_is_asked_for(tmp_path: Path) -> None:
    for name in ("train", "all"):
        with pytest.raises(UserError, match=rf"needs dataset.archives.{name}.uri"):
            build(tmp_path / "x", source=Source.archives, archives={name: Archive()})


def test_kaggle_needs_a_handle(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"needs dataset\.kaggle="):
        build(tmp_path / "x", source=Source.kaggle, kaggle=None)


def test_real_endoscopy_frames_keep_the_contract(data_root: Path, tmp_path: Path) -> None:
    folder = data_root / "endoscopy4"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
    images = load(config(path=str(folder), classes=classes, limit=40), tmp_path, draw)
    assert images.quarantined.empty and images.duplicates.empty
    assert images.frame["label"].value_counts().max() == 40
