"""Series that nothing names are found by adjacency, and single pictures are no series."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import adjusted_rand_score

from conf.schema import Series
from datasets.common import series
from datasets.common.contract import NO_GROUP
from datasets.common.images import resize
from datasets.kidney2.synthetic import SLICES, draw
from tests.datasets.common import CLASSES, build, image_set, save, write_manifest

COUNT = 6
"""Generated series of each class."""


def rolling(slices: list[int], width: int = 40) -> np.ndarray:
    """(N, 32 * 32): windows of one long texture, alike if their numbers are near."""
    texture = np.random.default_rng(0).normal(size=(32, 32 + max(slices)))
    smooth = np.apply_along_axis(np.convolve, 1, texture, np.ones(width), "same")
    return np.stack([smooth[:, k : k + 32].ravel() for k in slices])


def numbered_set(root: Path) -> list[int]:
    """Generated series on disk, numbered on and on in each class; the true series of each file."""
    true = []
    for label, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for number in range(COUNT):
            slices = draw(label, np.random.SeedSequence([label, number]))
            for k, pixels in enumerate(slices, SLICES * number + 1):
                Image.fromarray(pixels).save(root / name / f"CT ({k}).png")
                true.append(COUNT * label + number)
    return true


def by_number(root: Path) -> list[str]:
    files = [p.relative_to(root).as_posix() for p in root.rglob("*.png")]
    named = series.numbered(files).assign(file=files)
    return named.sort_values(["place", "number"])["file"].tolist()


def test_the_last_number_of_the_name_counts_and_folders_of_splits_do_not() -> None:
    found = series.numbered(["train/A/CT2 (10).jpg", "test/A/CT2 (9).jpg", "B/p1/7.png", "B/x.png"])
    assert found["place"].tolist() == ["A/CT2 (*)", "A/CT2 (*)", "B/p1/*", "B/x"]
    assert found["number"].tolist() == [10, 9, 7, -1]


def test_a_new_series_starts_where_neighbours_differ_and_where_the_place_changes() -> None:
    files = [f"A/{k}.png" for k in (1, 2, 3, 4, 10, 11)] + ["B/5.png", "A/none.png"]
    points = rolling([0, 1, 2, 400, 401, 402, 403, 404])
    found = series.adjacent(files, points)
    assert found[0] == found[1] == found[2] != found[3] == found[4] == found[5]
    assert found[6] not in found[:6] and found[7] == ""


def test_series_that_share_a_slice_are_one() -> None:
    points = rolling([0, 1, 400, 401, 1, 2])
    found = series.adjacent([f"A/{k}.png" for k in range(6)], points)
    assert found[0] == found[1] == found[4] == found[5] != found[2] == found[3]


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    files, points = [f"A/{k}.png" for k in range(12)], rolling([0, 1, 400, 401, 1, 2] * 2)
    whole = series.adjacent(files, points)
    monkeypatch.setattr(series, "BLOCK", 5)
    assert series.adjacent(files, points) == whole


def test_generated_series_are_found_and_kept_together(tmp_path: Path) -> None:
    root = tmp_path / "set"
    true = pd.Series(numbered_set(root), index=by_number(root))
    images = build(root, series=Series.adjacent)
    expected = true[images.frame["file"]].to_numpy()
    assert adjusted_rand_score(expected, images.frame["group"]) > 0.9
    frame = images.frame.assign(true=expected)
    assert (frame.groupby("true")[["group", "cluster"]].nunique() == 1).all(axis=None)
    again = build(root, series=Series.adjacent)
    pd.testing.assert_frame_equal(again.frame, images.frame)
    assert (build(root).frame["group"] == NO_GROUP).all()


def test_a_manifest_goes_before_the_numbering(tmp_path: Path) -> None:
    root = tmp_path / "set"
    numbered_set(root)
    write_manifest(root, group=["one"] * 4 + [""] * (2 * COUNT * SLICES - 4))
    frame = build(root, series=Series.adjacent).frame
    listed = pd.read_csv(root / "manifest.csv")["file"][:4]
    assert frame.loc[frame["file"].isin(listed), "group"].nunique() == 1
    assert frame["group"].nunique() > 2 and (frame["group"] != NO_GROUP).all()


def test_single_pictures_are_not_alike(tmp_path: Path) -> None:
    root = image_set(tmp_path / "set")
    files = by_number(root)
    small = np.stack([resize(np.asarray(Image.open(root / f)), 32).mean(axis=2) for f in files])
    assert series.alike(files, small) < 0.5
    assert series.alike(["a.png", "b.png"], small[:2]) == 0
    numbers = build(root, series=Series.adjacent).frame["group"]
    assert numbers.nunique() == len(files)


def test_a_single_colour_has_no_neighbours(tmp_path: Path) -> None:
    root = image_set(tmp_path / "set")
    Image.new("RGB", (48, 40), "white").save(save(root / CLASSES[0] / "9.png", 1))
    assert (build(root, series=Series.adjacent).frame["group"] != NO_GROUP).all()


def test_the_series_of_kidney4_are_found_without_its_manifest(
    data_root: Path, tmp_path: Path
) -> None:
    home = data_root / "kidney4"
    if not (home / "manifest.csv").is_file():
        pytest.skip(f"{home} holds no manifest.csv")
    classes = ["Normal", "Tumor"]
    for name in classes:
        (tmp_path / "set" / name).mkdir(parents=True)
        for path in (home / name).iterdir():
            (tmp_path / "set" / name / path.name).symlink_to(path)
    frame = build(tmp_path / "set", classes=classes, series=Series.adjacent).frame
    known = pd.read_csv(home / "manifest.csv").set_index("file")["group"].loc[frame["file"]]
    true, found = pd.factorize(known)[0], frame["group"].to_numpy()
    wanted, together = true[:, None] == true, found[:, None] == found
    precision, recall = (wanted & together).sum() / [together.sum(), wanted.sum()]
    assert adjusted_rand_score(true, found) > 0.99
    assert precision == 1 and recall > 0.99
