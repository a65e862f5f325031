"""One warp is the product of the five operations, in ImageDataGenerator's units."""

import numpy as np
import pytest
from omegaconf import OmegaConf

from conf.schema import Augment
from train.common.fitting.augment import random_transforms, warp

SIZE = 33
RECIPE = Augment(rotation=10.0, shift=0.2, shear=0.2, zoom=0.2, horizontal_flip=True)


def drawn(settings: Augment, count: int = 200) -> np.ndarray:
    return random_transforms(np.random.default_rng(0), count, SIZE, OmegaConf.structured(settings))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (200, SIZE, SIZE, 3), dtype=np.uint8)


def test_nothing_asked_changes_nothing(images: np.ndarray) -> None:
    views = warp(images, drawn(Augment()), 127).numpy()
    np.testing.assert_array_equal(views, images)


def test_a_flip_mirrors_about_half_of_the_images(images: np.ndarray) -> None:
    views = warp(images, drawn(Augment(horizontal_flip=True)), 127).numpy()
    same = (views == images).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(views[~same], images[~same][:, :, ::-1])
    assert 60 < same.sum() < 140


def test_a_shift_moves_by_at_most_its_fraction_and_fills_with_grey(images: np.ndarray) -> None:
    transforms = drawn(Augment(shift=0.2))
    moved = transforms[:, [2, 5]]
    assert 0.15 * SIZE < abs(moved).max() <= 0.2 * SIZE
    white = np.full_like(images, 255)
    outside = warp(white, transforms, 127).numpy() == 127
    assert outside.any(axis=(1, 2, 3)).mean() > 0.9
    assert outside.mean() < 0.4


def test_rotation_keeps_the_centre_and_stays_in_its_range() -> None:
    transforms = drawn(Augment(rotation=10.0))
    middle = (SIZE - 1) / 2
    x = transforms[:, :3] @ [middle, middle, 1]
    y = transforms[:, 3:6] @ [middle, middle, 1]
    np.testing.assert_allclose([x, y], middle, atol=1e-4)
    degrees = np.rad2deg(np.arctan2(transforms[:, 3], transforms[:, 0]))
    assert 9 < abs(degrees).max() <= 10


def test_zoom_scales_each_axis_by_itself() -> None:
    transforms = drawn(Augment(zoom=0.2))
    for scale in (transforms[:, 0], transforms[:, 4]):
        assert 0.8 <= scale.min() < 0.83
        assert 1.17 < scale.max() <= 1.2
    assert abs(transforms[:, 0] - transforms[:, 4]).max() > 0.1


def test_one_warp_equals_keras_own_affine_of_the_same_matrix(images: np.ndarray) -> None:
    import keras

    transforms = drawn(RECIPE)
    ours = warp(images, transforms, 0).numpy().astype(int)
    theirs = keras.ops.image.affine_transform(
        images.astype(np.float32), transforms, fill_mode="constant", fill_value=0
    )
    assert abs(ours - np.asarray(theirs)).max() <= 0.51  # rounding to whole grey levels


def test_the_same_seed_draws_the_same_views() -> None:
    np.testing.assert_array_equal(drawn(RECIPE), drawn(RECIPE))
