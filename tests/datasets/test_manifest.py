"""A manifest beside images: what it may contain, and the messages for a wrong one."""

from pathlib import Path
from typing import Any

import pytest

from conf.errors import UserError
from datasets.common.contract import NO_GROUP
from tests.datasets.common import build, image_set, save, write_manifest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return image_set(tmp_path / "set")


def test_a_manifest_gives_splits_and_groups(root: Path) -> None:
    group = ["g1", "", "g1", "", "", "", "", ""]
    write_manifest(root, split=["train", "train", "val", "test"] * 2, group=group)
    table = build(root).frame
    assert table["split"].tolist() == ["train", "train", "validation", "test"] * 2
    assert table["cluster"].iat[0] == table["cluster"].iat[2] and table["cluster"].nunique() == 7
    assert table["group"].tolist() == [0, NO_GROUP, 0, *[NO_GROUP] * 5]


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
        (
            {"label": ["0_first"] * 2 + ["2_third"] + ["0_first"] + ["1_second"] * 4},
            r"manifest.csv, row 3: 0_first/2.png lies in 0_first and is labelled 2_third: correct",
        ),
        ({"label": "1_second"}, r"row 1: 0_first/0.png lies in 0_first .* \(4 such rows\)"),
        ({"split": ["test"] * 7 + ["holdout"]}, "row 8: 1_second/3.png has split 'holdout'; choi"),
        ({"split": "holdout"}, r"choices: train, validation, test \(8 such rows\)"),
        ({"split": ["train"] * 7 + [""]}, "row 8: .* a split for some files and none for others"),
        ({"file": [f"../{k}.png" for k in range(8)]}, r"row 1: file '\.\./0\.png' must lie below"),
        ({"file": ["/a.png", *"bcdefgh"]}, "row 1: file '/a.png' must lie below the mani"),
        (
            {"file": list("abcdefgh")},
            "row 1: a has no label and lies in no folder: give it",
        ),
        ({"file": ["0_first/0.png"] * 8}, r"row 2: 0_first/0.png is listed twice: .*7 such rows"),
    ],
)
def test_a_manifest_that_contradicts_is_refused(
    root: Path, columns: dict[str, Any], message: str
) -> None:
    write_manifest(root, **columns)
    with pytest.raises(UserError, match=message):
        build(root)


def test_several_faults_of_a_manifest_are_told_together_in_the_order_of_rows(root: Path) -> None:
    split = ["train"] * 5 + ["holdout"] + ["train"] * 2
    write_manifest(root, split=split, label=["0_first"] * 3 + ["1_second"] * 5)
    with pytest.raises(UserError, match=r"csv, row 4: .* labelled 1_second.*\nrow 6: .* 'holdout'"):
        build(root)


def test_other_columns_of_a_manifest_are_ignored_also_those_without_a_name(root: Path) -> None:
    write_manifest(root)
    lines = (root / "manifest.csv").read_text().splitlines()
    (root / "manifest.csv").write_text("".join(f"{line},seen,,\n" for line in lines))
    assert len(build(root).frame) == 8


def test_a_row_of_no_class_may_have_any_split(tmp_path: Path) -> None:
    root = image_set(tmp_path / "set", classes=["0_first", "1_second", "unlabelled"])
    write_manifest(root, split=["train", "val", "test", "test"] * 2 + ["later"] * 4)
    assert len(build(root).frame) == 8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"image,label\na.png,0_first\n", r"manifest.csv has no column file \(expected"),
        (b"file;label\na.png;0_first\n", "has one column, 'file;label': separate by commas"),
        (b"file,label\na.png\n", "row 1 has 1 cells, and the header has 2; is the separator"),
        ("file\npólipo.png\n".encode("latin-1"), r"manifest.csv is not UTF-8 text \(byte 6"),
        (b"file,label\n", "has no class 0_first"),
        (b"file,label,label\na.png,x,y\n", "has the column 'label' twice: remove one of them"),
    ],
)
def test_a_manifest_that_is_no_table_says_why(root: Path, content: bytes, message: str) -> None:
    (root / "manifest.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        build(root)
