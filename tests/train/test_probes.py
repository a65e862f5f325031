"""Leak probes find a leak that is there, and none that is not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conf.schema import Probes
from train.common.evaluation import probes

SETTINGS = Probes(bootstrap=200), 0
IMAGES, COPIES = 120, 6


def series(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (N, 5), labels and clusters of near-copies whose likeness tells no class."""
    rng = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(IMAGES // COPIES), COPIES)
    labels = np.arange(IMAGES // COPIES)[clusters] % 2
    centres = rng.normal(size=(IMAGES // COPIES, 5))[clusters]
    return centres + rng.normal(size=(IMAGES, 5)) / 50, labels, clusters


def test_a_neighbour_recognises_copies_and_nothing_else() -> None:
    points, labels, clusters = series()
    answers = probes.neighbour(points, labels, None)
    assert answers is not None and np.array_equal(answers, labels)
    found = probes.compare(
        "copies",
        lambda groups: probes.neighbour(points, labels, groups),
        labels,
        clusters,
        *SETTINGS,
    )
    by = found.set_index("validated")
    assert by.loc["at random", "value"] == 1
    assert by.loc["by cluster", "low"] < 0.5 < by.loc["by cluster", "high"]
    assert by.loc["at random", "low"] > by.loc["by cluster", "high"]


def test_a_forest_finds_a_shortcut_and_no_luck() -> None:
    rng = np.random.default_rng(0)
    labels, clusters = np.arange(IMAGES) % 2, np.arange(IMAGES)
    leak = pd.DataFrame({"bytes": 100 * labels + rng.normal(size=IMAGES)})
    noise = pd.DataFrame({"bytes": rng.normal(size=IMAGES)})
    for features, expected in ((leak, True), (noise, False)):
        found = probes.compare(
            "metadata",
            lambda groups, given=features: probes.forest(given, labels, groups, *SETTINGS),  # type: ignore[misc]
            labels, clusters, *SETTINGS,
        )  # fmt: skip
        assert ((found["low"] > 0.6) == expected).all()


def test_a_class_in_one_cluster_cannot_be_validated_by_cluster() -> None:
    points, labels, _ = series()
    features = pd.DataFrame(points)
    assert probes.forest(features, labels, labels, *SETTINGS) is None
    assert probes.neighbour(points, labels, np.zeros(IMAGES)) is None
    found = probes.compare(
        "one",
        lambda groups: probes.forest(features, labels, groups, *SETTINGS),
        labels,
        labels,
        *SETTINGS,
    )
    assert found["validated"].tolist() == ["at random"]


@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 99))
def test_clusters_are_taken_whole_up_to_the_limit(count: int, most: int, seed: int) -> None:
    clusters = np.repeat(np.arange(count), np.random.default_rng(seed).integers(1, most + 1, count))
    rows = probes.whole_clusters(clusters, len(clusters) // 2, seed)
    assert len(rows) <= max(len(clusters) // 2, 0)
    taken = set(clusters[rows])
    assert not taken & set(np.delete(clusters, rows))
    assert np.array_equal(
        probes.whole_clusters(clusters, len(clusters), seed), np.arange(len(clusters))
    )


def test_metadata_see_the_inset_the_border_and_the_file(tmp_path: Path) -> None:
    plain = np.full((96, 96, 3), 90, np.uint8)
    inset, framed = plain.copy(), plain.copy()
    inset[72:, :24] = (20, 200, 60)
    framed[:4], framed[-4:], framed[:, :4], framed[:, -4:] = 0, 0, 0, 0
    paths = [tmp_path / "plain.png", tmp_path / "half.jpg", tmp_path / "fine.jpg"]
    for path, quality in zip(paths, (0, 50, 90), strict=True):  # PNG takes no notice of it
        Image.fromarray(plain).save(path, quality=quality)
    table = pd.DataFrame({"path": [str(p) for p in paths], "width": [5, 10, 20], "height": 5})
    found = probes.metadata(table, np.stack([plain, inset, framed]))
    assert found["bytes"].tolist() == [path.stat().st_size for path in paths]
    assert found["width"].tolist() == [5, 10, 20] and (found["height"] == 5).all()
    assert found["aspect"].tolist() == [1, 2, 4]
    assert found["JPEG quality"].tolist() == [0, pytest.approx(50, 0.02), pytest.approx(90, 0.02)]
    assert found["lower left greenness"].tolist() == [0, pytest.approx(160), 0]
    assert (found[["top left greenness", "lower right greenness"]] == 0).all(axis=None)
    assert found["border brightness"].tolist() == [90, pytest.approx(93, abs=6), 0]


def test_a_masked_image_shows_its_edge_and_not_its_centre() -> None:
    plain = np.full((96, 96, 3), 90, np.uint8)
    changed, framed = plain.copy(), plain.copy()
    changed[16:-16, 16:-16] = 250
    framed[:2], framed[-2:], framed[:, :2], framed[:, -2:] = 0, 0, 0, 0
    one, same, other = probes.masked(np.stack([plain, changed, framed]))
    assert np.array_equal(one, same) and np.abs(one - other).max() > 20
