"""Class folders and manifests as people and archives lay them out."""

from pathlib import Path
from typing import Any

import pytest

from conf.errors import UserError
from tests.datasets.common import build, image_set, save, write_manifest

SPLITS = ("train", "validation", "test")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return image_set(tmp_path / "set")


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Val"])
def test_official_splits_are_found_by_their_usual_names(tmp_path: Path, validation: str) -> None:
    images = build(image_set(tmp_path / "set", splits=("train", validation, "test")))
    assert images.frame.groupby("split").size().to_dict() == dict.fromkeys(SPLITS, 8)


def test_a_single_folder_around_the_set_is_stepped_into(tmp_path: Path) -> None:
    image_set(tmp_path / "set" / "download" / "v2", splits=SPLITS)
    (tmp_path / "set" / "__MACOSX").mkdir()
    assert len(build(tmp_path / "set").frame) == 24


def test_folders_that_are_no_class_are_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = image_set(tmp_path / "set", splits=SPLITS, classes=["Cyst", "Normal", "Stone", "Tumor"])
    images = build(root, classes=["Tumor", "Normal"])
    assert set(images.frame["file"].str.split("/").str[1]) == {"Tumor", "Normal"}
    assert len(images.frame) == 24 and images.quarantined.empty
    assert "dataset.classes=[Tumor, Normal] does not name them: Cyst, Stone" in caplog.text


@pytest.mark.parametrize("flat", [False, True])
def test_labels_that_are_no_class_are_left_out_and_named(
    flat: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = ["Cyst", "Normal", "Tumor"]
    if flat:
        root = image_set(tmp_path / "set", count=12, classes=["images"])
        write_manifest(root, label=names * 4)
    else:
        root = image_set(tmp_path / "set", classes=names)
        write_manifest(root)
    images = build(root, classes=["Normal", "Tumor"])
    assert images.frame["label"].value_counts().to_dict() == {0: 4, 1: 4}
    assert images.quarantined.empty
    assert "does not name them: Cyst" in caplog.text
    with pytest.raises(
        UserError, match=r"has no class Normla; .*choices: Cyst, Normal, Tumor; did"
    ):
        build(root, classes=["Normla", "Tumor"])


def test_a_set_is_found_in_the_folders_that_an_archive_puts_around_it(tmp_path: Path) -> None:
    around = tmp_path / "set" / "CT-KIDNEY-DATASET" / "CT-KIDNEY-DATASET"
    image_set(around, classes=["Cyst", "Normal", "Stone", "Tumor"])
    (tmp_path / "set" / "kidneyData.csv").write_text("id,path,diag\n")
    images = build(tmp_path / "set", classes=["Normal", "Tumor"])
    assert images.frame["file"].str.fullmatch(r"(Normal|Tumor)/\d\.png").all()
    assert len(images.frame) == 8


def test_a_manifest_gives_splits_and_groups(root: Path) -> None:
    group = ["g1", "", "g1", "", "", "", "", ""]
    write_manifest(root, split=["train", "train", "val", "test"] * 2, group=group)
    table = build(root).frame
    assert table["split"].tolist() == ["train", "train", "validation", "test"] * 2
    assert table["cluster"].iat[0] == table["cluster"].iat[2] and table["cluster"].nunique() == 7


def test_a_manifest_may_hold_the_labels_of_a_flat_folder(tmp_path: Path) -> None:
    for k in range(4):
        save(tmp_path / "set" / "images" / f"{k}.png", k)
    write_manifest(tmp_path / "set", label=["1_second", "0_first"] * 2)
    assert build(tmp_path / "set").frame["label"].tolist() == [1, 0, 1, 0]


def test_what_the_manifest_and_the_folder_disagree_on_is_quarantined(root: Path) -> None:
    write_manifest(root)
    (root / "0_first" / "0.png").unlink()
    save(root / "0_first" / "new.png", 5)
    quarantined = build(root, max_bad_share=0.5).quarantined.set_index("file")["reason"]
    assert "there is no such file" in quarantined["0_first/0.png"]
    assert "not listed" in quarantined["0_first/new.png"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": "2_third"}, "lies in 0_first and is labelled 2_third"),
        ({"label": "1_second"}, "lies in 0_first and is labelled 1_second"),
        ({"split": "holdout"}, "has split 'holdout'; choices: train, validation, test"),
        ({"split": ["train"] * 7 + [""]}, "a split for some files and none for others"),
        ({"file": [f"../{k}.png" for k in range(8)]}, "must lie below"),
    ],
)
def test_a_manifest_that_contradicts_is_refused(
    root: Path, columns: dict[str, Any], message: str
) -> None:
    write_manifest(root, **columns)
    with pytest.raises(UserError, match=message):
        build(root)
