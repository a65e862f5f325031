"""Class folders in the layouts of people and archives."""

from pathlib import Path

import pytest

from conf.errors import UserError
from tests.datasets.common import build, image_set, write_manifest

SPLITS = ("train", "validation", "test")


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
