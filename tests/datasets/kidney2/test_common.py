"""The generated slices: near-copies within a series, and a random split that only seems good."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conf.errors import UserError
from conf.schema import Source
from datasets.common.digests import look
from datasets.common.images import resize
from datasets.kidney2.common import CLASSES, SIDE, SLICES, draw
from datasets.kidney2.dataset import build
from tests.common import composed
from tests.datasets.common import UNREACHABLE, config, image_set

SERIES = 30
"""Of each class."""


@pytest.fixture(scope="module")
def series() -> np.ndarray:
    """(2, SERIES, SLICES, SIDE, SIDE, 3): class, series, slice."""
    return np.stack(
        [
            [draw(label, np.random.SeedSequence([5, label, number])) for number in range(SERIES)]
            for label in range(2)
        ]
    )


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return np.repeat([0, 1], SERIES * SLICES)


@pytest.fixture(scope="module")
def groups() -> np.ndarray:
    return np.repeat(np.arange(2 * SERIES), SLICES)


def test_the_same_seed_draws_the_same_series(series: np.ndarray) -> None:
    again = draw(1, np.random.SeedSequence([5, 1, 0]))
    assert again.shape == (SLICES, SIDE, SIDE, 3) and again.dtype == np.uint8
    assert np.array_equal(again, series[1, 0])
    assert np.ptp(again) > 200


def test_slices_of_a_series_are_near_copies_and_series_are_not(series: np.ndarray) -> None:
    bits = np.array([[[int(look(s), 16) for s in one] for one in kind] for kind in series])
    bits = bits.reshape(2 * SERIES, SLICES)
    within = np.bitwise_count(bits[:, :1] ^ bits[:, 1:])
    across = np.bitwise_count(bits[:, None, 0] ^ bits[None, :, 0])[np.triu_indices(2 * SERIES, 1)]
    assert (within <= 4).mean() > 0.9 and (across > 6).mean() > 0.97
    assert len({one.tobytes() for kind in series for slices in kind for one in slices}) == (
        2 * SERIES * SLICES
    )


def test_a_random_split_measures_how_well_the_series_is_recognised(
    series: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> None:
    flat = series.reshape(-1, SIDE, SIDE, 3)
    small = np.stack([resize(one, 32)[..., 0].ravel() for one in flat]).astype(float)
    distances = euclidean_distances(small)

    def nearest(excluded: np.ndarray) -> float:
        return float(
            (labels[np.where(excluded, np.inf, distances).argmin(axis=1)] == labels).mean()
        )

    assert nearest(np.eye(len(labels), dtype=bool)) > 0.97
    assert nearest(groups[:, None] == groups[None, :]) < 0.8


def test_brightness_does_not_give_the_class_away(
    series: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> None:
    flat = series.reshape(len(labels), -1)
    features = np.column_stack([flat.mean(axis=1), flat.std(axis=1), (flat > 10).mean(axis=1)])
    model = make_pipeline(StandardScaler(), LogisticRegression())
    folds = GroupKFold(5).split(features, labels, groups)
    assert cross_val_score(model, features, labels, cv=list(folds)).mean() < 0.75


def test_series_stay_in_one_split_and_one_cluster(tmp_path: Path) -> None:
    settings = config(classes=CLASSES, source=Source.sample, sample_images=20)
    table = build(settings, tmp_path).frame
    sizes = table.groupby(["label", "split", "cluster"]).size().reset_index(name="slices")
    assert sizes["cluster"].is_unique
    assert sizes["slices"].tolist() == [4, 4, 4, 4, 4] * 2


def test_a_class_that_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    settings = config(classes=[*CLASSES, "Cyst"], source=Source.sample, sample_images=5)
    with pytest.raises(UserError, match=r"sample cannot draw Cyst .*choices: Normal, Tumor"):
        build(settings, tmp_path)


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
