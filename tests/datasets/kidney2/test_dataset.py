"""kidney2 as people and Kaggle keep it: the set of the report, and the public set."""

from pathlib import Path

import pytest

from conf.errors import UserError
from datasets.kidney2.common import CLASSES
from datasets.kidney2.dataset import build
from tests.common import composed
from tests.datasets.common import UNREACHABLE, config, image_set


def test_the_reports_set_is_read_series_by_series(data_root: Path, tmp_path: Path) -> None:
    folder = data_root / "kidney2"
    if not folder.is_dir():
        pytest.skip(f"there is no {folder}")
    images = build(config(classes=CLASSES, path=str(folder)), tmp_path)
    assert images.frame["label"].value_counts().to_dict() == {0: 240, 1: 225}
    assert images.frame["cluster"].nunique() <= 16
    assert images.quarantined.empty


def test_of_the_public_set_two_folders_are_taken_and_200_slices_of_each(
    data_root: Path, tmp_path: Path
) -> None:
    folder = data_root / "kidney4"
    if not folder.is_dir():
        pytest.skip(f"there is no {folder}")
    given = f"dataset.path={folder}"
    settings = composed("+pipeline=train_vgg16ft", "dataset.source=directory", given).dataset
    table = build(settings, tmp_path).frame
    assert table["label"].value_counts().to_dict() == {0: 200, 1: 200}
    series = table.groupby("label")["cluster"].nunique()
    assert series[0] > 25 and series[1] > 15  # of 38 and 20: drawn from all over the set


def test_the_public_set_is_read_as_kaggle_delivers_it_and_its_files_are_counted(
    no_network: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", UNREACHABLE)
    pipeline = ["+pipeline=train_vgg16ft", "env=production", f"dataset.path={tmp_path}"]
    settings = composed(*pipeline).dataset
    version = Path("datasets", settings.kaggle, "versions", "1")
    name = "CT-KIDNEY-DATASET-Normal-Cyst-Tumor-Stone"
    image_set(tmp_path / version / name / name, classes=["Cyst", "Normal", "Stone", "Tumor"])
    (tmp_path / version / "kidneyData.csv").write_text("image_id,path,diag,target,Class\n")
    (tmp_path / f"kaggle-{settings.kaggle.replace('/', '-')}.txt").write_text(f"{version}\n")
    with pytest.raises(UserError, match="class Normal has 4 files, expected 5077"):
        build(settings, tmp_path / "cache")
    images = build(composed(*pipeline, "dataset.expected=null").dataset, tmp_path / "cache")
    assert images.frame["label"].value_counts().to_dict() == {0: 4, 1: 4}
    assert sum(settings.expected.values()) == 12446  # what the set's page says
