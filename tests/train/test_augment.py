"""One warp is the product of the five operations, in ImageDataGenerator's units; then colours."""

from dataclasses import replace

import numpy as np
import pytest

from conf.schema import Augment
from train.common.fitting.augment import random_views, view

SIZE = 33
RECIPE = Augment(rotation=10.0, shift=0.2, shear=0.2, zoom=0.2, horizontal_flip=True)


def drawn(settings: Augment, count: int = 200) -> np.ndarray:
    return random_views(np.random.default_rng(0), count, SIZE, settings)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (200, SIZE, SIZE, 3), dtype=np.uint8)


def test_nothing_asked_changes_nothing(images: np.ndarray) -> None:
    views = view(images, drawn(Augment()), Augment()).numpy()
    np.testing.assert_array_equal(views, images)


def test_a_flip_mirrors_about_half_of_the_images(images: np.ndarray) -> None:
    settings = Augment(horizontal_flip=True)
    views = view(images, drawn(settings), settings).numpy()
    same = (views == images).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(views[~same], images[~same][:, :, ::-1])
    assert 60 < same.sum() < 140


def test_flips_in_both_directions_give_all_four_images(images: np.ndarray) -> None:
    settings = Augment(horizontal_flip=True, vertical_flip=True)
    views = view(images, drawn(settings), settings).numpy()
    for x in (1, -1):
        for y in (1, -1):
            mirrored = images[:, ::y, ::x]
            assert 25 < (views == mirrored).all(axis=(1, 2, 3)).sum() < 75


def test_brightness_multiplies_each_pixel(images: np.ndarray) -> None:
    settings, dark = Augment(brightness=0.2), images // 4  # nothing is clipped
    views = view(dark, drawn(settings), settings).numpy().astype(float)
    factors = views.mean(axis=(1, 2, 3)) / dark.mean(axis=(1, 2, 3))
    assert 0.79 < factors.min() < 0.85 and 1.15 < factors.max() < 1.21
    np.testing.assert_allclose(views, dark * factors[:, None, None, None], atol=1.1)


def test_contrast_keeps_the_middle_grey_and_saturation_keeps_every_grey() -> None:
    middle = np.full((200, SIZE, SIZE, 3), 127, np.uint8)
    settings = Augment(contrast=0.5)
    views = view(middle, drawn(settings), settings).numpy().astype(int)
    assert abs(views - 127).max() <= 1
    grey = np.repeat(np.random.default_rng(1).integers(0, 256, (200, SIZE, SIZE, 1)), 3, -1)
    settings = Augment(saturation=0.5)
    views = view(grey.astype(np.uint8), drawn(settings), settings).numpy().astype(int)
    assert abs(views - grey).max() <= 1


def test_colours_leave_the_geometry_of_a_seed_as_it_is() -> None:
    coloured = replace(RECIPE, brightness=0.2, contrast=0.2, saturation=0.2, vertical_flip=False)
    np.testing.assert_array_equal(drawn(coloured)[:, :8], drawn(RECIPE)[:, :8])


def test_a_shift_moves_by_at_most_its_fraction_and_fills_with_grey(images: np.ndarray) -> None:
    transforms = drawn(Augment(shift=0.2))
    moved = transforms[:, [2, 5]]
    assert 0.15 * SIZE < abs(moved).max() <= 0.2 * SIZE
    white = np.full_like(images, 255)
    outside = view(white, transforms, Augment()).numpy() == 127
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
    ours = view(images, transforms, Augment(fill_value=0)).numpy().astype(int)
    theirs = keras.ops.image.affine_transform(
        images.astype(np.float32), transforms[:, :8], fill_mode="constant", fill_value=0
    )
    assert abs(ours - np.asarray(theirs)).max() <= 0.51  # rounding to whole grey levels


def test_the_same_seed_draws_the_same_views() -> None:
    np.testing.assert_array_equal(drawn(RECIPE), drawn(RECIPE))
