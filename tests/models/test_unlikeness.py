"""Unlikeness: a distance of frozen features that tells other kinds of images from new good ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score

from datasets.common.images import read_image
from datasets.kvasir4.synthetic import draw
from models import unlikeness
from models.common import PROBABILITIES, UNLIKENESS, export_onnx, onnx_predict, serving_model
from tests.common import part

SIDE = 96
REFERENCES, NEW = 120, 60
REFUSED = 0.05
SAME = 1e-3
"""Largest relative difference between engines."""


def frames(count: int, seed: int) -> np.ndarray:
    """Generated endoscopy frames uint8 (count, SIDE, SIDE, 3)."""
    drawn = (draw(n % 4, np.random.SeedSequence([n % 4, seed, n])) for n in range(count))
    return np.stack([np.asarray(Image.fromarray(each).resize((SIDE, SIDE))) for each in drawn])


@pytest.fixture(scope="module")
def model() -> Any:
    from models.efficientnetliteft.model import build

    settings = part("model", "efficientnetliteft", f"model.image_size={SIDE}")
    settings.weights = "imagenet"  # of an installed package
    return build(settings, 4)


@pytest.fixture(scope="module")
def features(model: Any) -> Any:
    """From pixels to pooled features of the layers that the configuration names."""
    import keras

    settings = part("model", "efficientnetliteft")
    layers = unlikeness.frozen_layers(model, settings.unlike, settings.freeze)
    assert layers == ("stage3", "stage4", "stage5")
    network = keras.Model(model.input, unlikeness.pooled(model, layers))
    return lambda pixels: network.predict(pixels, verbose=0)


@pytest.fixture(scope="module")
def reference(features: Any) -> unlikeness.Reference:
    return unlikeness.fit(("stage3", "stage4", "stage5"), features(frames(REFERENCES, 0)))


def test_it_is_the_mahalanobis_distance_of_a_shrunk_covariance() -> None:
    rng = np.random.default_rng(0)
    given = rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6)) + 3
    found = unlikeness.fit(("x",), given)
    mean, scale = given.mean(axis=0), given.std(axis=0)
    inverse = LedoitWolf().fit((given - mean) / scale).precision_
    for row in rng.normal(size=(5, 6)) * 4:
        expected = mahalanobis((row - mean) / scale, np.zeros(6), inverse)
        assert found.unlikeness(row[None])[0] == pytest.approx(expected, rel=1e-4)


def test_features_that_never_vary_do_not_break_it() -> None:
    given = np.random.default_rng(0).normal(size=(50, 5))
    given[:, 2] = 7
    assert np.isfinite(unlikeness.fit(("x",), given).unlikeness(given)).all()
    few = unlikeness.fit(("x",), given[:3])
    assert few.kernel.shape == (5, 2) and np.isfinite(few.unlikeness(given)).all()


def test_layers_behind_the_freeze_boundary_are_left_out(model: Any) -> None:
    assert unlikeness.frozen_layers(model, ["stage3", "stage6"], "stage4") == ("stage3", "stage4")
    assert unlikeness.frozen_layers(model, [], "stage2") == ("stage2",)


def test_noise_and_flat_colours_are_refused_and_new_frames_are_not(
    features: Any, reference: unlikeness.Reference
) -> None:
    rng = np.random.default_rng(1)
    threshold = np.quantile(reference.unlikeness(features(frames(NEW, 1))), 1 - REFUSED)
    good = reference.unlikeness(features(frames(NEW, 2)))
    assert (good > threshold).mean() <= 2 * REFUSED
    noise = rng.integers(0, 256, (12, SIDE, SIDE, 3), dtype=np.uint8)
    flat = np.broadcast_to(rng.integers(0, 256, (12, 1, 1, 3), dtype=np.uint8), (12, SIDE, SIDE, 3))
    inverted = 255 - frames(12, 3)
    for other in (noise, flat, inverted):
        assert (reference.unlikeness(features(other)) > threshold).all()


@pytest.mark.slow
def test_keras_and_onnx_give_the_distance_of_the_reference(
    model: Any, features: Any, reference: unlikeness.Reference, tmp_path: Path
) -> None:
    pixels = np.concatenate([frames(6, 4), np.zeros((1, SIDE, SIDE, 3), np.uint8)])
    expected = reference.unlikeness(features(pixels))
    ours = serving_model(model, reference).predict(pixels, verbose=0)
    np.testing.assert_allclose(ours[UNLIKENESS], expected, rtol=SAME)
    export_onnx(model, tmp_path / "model.onnx", reference)
    theirs = onnx_predict(tmp_path / "model.onnx", pixels)
    assert theirs[UNLIKENESS].shape == (7,) and theirs[UNLIKENESS].dtype == np.float32
    np.testing.assert_allclose(theirs[UNLIKENESS], expected, rtol=SAME)
    without = model.predict(pixels, verbose=0)
    np.testing.assert_allclose(theirs[PROBABILITIES], without, atol=1e-5)


@pytest.mark.slow
def test_endoscopy_and_kidney_ct_are_told_apart_both_ways(features: Any, data_root: Path) -> None:
    found = {}
    for name in ("endoscopy4", "kidney4"):
        paths = sorted((data_root / name).rglob("*.jpg"))
        if len(paths) < 2 * REFERENCES:
            pytest.skip(f"{data_root}/{name} has too few images")
        chosen = np.random.default_rng(0).permutation(len(paths))[: 2 * REFERENCES]
        pixels = np.stack([read_image(paths[row], 10**8, size=SIDE) for row in chosen])
        found[name] = features(pixels)
    for inside, outside in (("endoscopy4", "kidney4"), ("kidney4", "endoscopy4")):
        known, new = np.split(found[inside], 2)
        distance = unlikeness.fit(("x",), known).unlikeness
        good, other = distance(new), distance(found[outside])
        kinds = np.repeat([0, 1], [len(good), len(other)])
        assert roc_auc_score(kinds, np.concatenate([good, other])) > 0.999
