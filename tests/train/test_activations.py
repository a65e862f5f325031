"""Stored activations: the same function as the whole network, and never half of a file."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conf.errors import UserError
from models.common import head, split_at
from tests.common import configuration
from train.common.data.types import DecodedImages
from train.common.fitting import augment
from train.common.fitting.feature_cache import FeatureCache

SIZE, COUNT = 16, 70
HALF = 1e-3
"""Largest relative rounding error of float16, twice."""


def build(seed: int = 0, scale: float = 1 / 127.5) -> Any:
    import keras

    keras.utils.set_random_seed(seed)
    pixels = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    x = keras.layers.Rescaling(scale, offset=-1.0)(pixels)
    x = keras.layers.Conv2D(4, 3, 2, "same", activation="relu", name="frozen")(x)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="tail")(x)
    return keras.Model(pixels, head(x, 2, 8, 0.2), name="tiny")


@pytest.fixture(scope="module")
def model() -> Any:
    return build()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> DecodedImages:
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("pixels") / "pixels.npy"
    np.save(path, pixels)
    table = pd.DataFrame({"label": np.arange(COUNT) % 2})
    return DecodedImages(
        name="toy", classes=("dark", "bright"), frame=table, quarantined=table, duplicates=table,
        digest="0", pixels=path,
    )  # fmt: skip


def configured(cache: Path, *overrides: str) -> Any:
    return configuration(
        "+pipeline=train_resnet50v2ft",
        f"env.cache={cache}",
        "model.freeze=frozen",
        "fit.precision=float32",
        *overrides,
    )


def opened(model: Any, images: DecodedImages, config: Any) -> FeatureCache:
    import keras

    prefix, _ = split_at(model, config.model.freeze)
    still = keras.Model(model.get_layer("frozen").output, model.get_layer("pool").output)
    return FeatureCache(prefix, still, images, config)


def ignore(_count: int) -> None:
    pass


@pytest.mark.parametrize("view", [None, 0, 1])
def test_activations_are_those_of_the_network_on_the_view(
    model: Any, images: DecodedImages, tmp_path: Path, view: int | None
) -> None:
    config = configured(tmp_path)
    stored = opened(model, images, config)
    rows = np.array([3, 69, 0, 41])
    seen = images.load()
    if view is not None:
        rng = np.random.default_rng([0, view])
        drawn = augment.random_views(rng, COUNT, SIZE, config.fit.augment)
        seen = augment.view(seen, drawn, config.fit.augment).numpy()
    prefix, tail = split_at(model, "frozen")
    theirs = stored.at_boundary(view, rows, ignore).read(rows)
    ours = prefix.predict(seen[rows], verbose=0)
    np.testing.assert_allclose(theirs, ours, rtol=HALF, atol=HALF * ours.max())
    np.testing.assert_allclose(
        tail.predict(theirs.astype(np.float32), verbose=0),
        model.predict(seen[rows], verbose=0),
        atol=HALF,
    )
    pooled = stored.pooled(view, rows, ignore).read(rows)
    _, top = split_at(model, "pool")
    np.testing.assert_allclose(
        top.predict(pooled.astype(np.float32), verbose=0),
        model.predict(seen[rows], verbose=0),
        atol=HALF,
    )


@pytest.mark.slow
def test_views_differ_and_are_drawn_by_the_seed(
    model: Any, images: DecodedImages, tmp_path: Path
) -> None:
    rows = np.arange(8)

    def first(seed: int, view: int) -> np.ndarray:
        stored = opened(model, images, configured(tmp_path, f"seed={seed}"))
        return stored.at_boundary(view, rows, ignore).read(rows)

    assert not np.array_equal(first(0, 0), first(0, 1))
    assert not np.array_equal(first(0, 0), first(1, 0))


@pytest.mark.slow
def test_only_what_is_missing_is_computed(
    model: Any, images: DecodedImages, tmp_path: Path
) -> None:
    heard: list[int] = []
    opened(model, images, configured(tmp_path)).at_boundary(0, np.arange(40), heard.append)
    assert sum(heard) == 40
    heard.clear()
    again = opened(model, images, configured(tmp_path, "fit.finetune.learning_rate=0.5"))
    again.at_boundary(0, np.arange(20, 60), heard.append)
    assert sum(heard) == 20


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    ["seed=1", "fit.augment.rotation=11", "fit.augment.fill_value=0", "weights", "data", "pixels"],
)
def test_another_input_is_another_file(
    model: Any, images: DecodedImages, tmp_path: Path, change: str
) -> None:
    from dataclasses import replace

    rows = np.arange(4)
    opened(model, images, configured(tmp_path)).at_boundary(0, rows, ignore)
    config = configured(tmp_path, change if "=" in change else "seed=0")
    other, changed = images, model
    if change == "weights":
        changed = build(seed=1)
    if change == "data":
        other = replace(images, digest="1")
    if change == "pixels":
        other = replace(images, pixels=images.pixels.rename(tmp_path / "others.npy"))
    heard: list[int] = []
    try:
        opened(changed, other, config).at_boundary(0, rows, heard.append)
    finally:
        if change == "pixels":
            other.pixels.rename(images.pixels)
    assert sum(heard) == 4


def test_the_images_themselves_are_shared_by_every_seed_and_augmentation(
    model: Any, images: DecodedImages, tmp_path: Path
) -> None:
    rows = np.arange(4)
    opened(model, images, configured(tmp_path)).at_boundary(None, rows, ignore)
    heard: list[int] = []
    config = configured(tmp_path, "seed=1", "fit.augment.rotation=45")
    opened(model, images, config).at_boundary(None, rows, heard.append)
    assert not heard


def test_a_graph_that_was_edited_does_not_read_the_old_ones(
    model: Any, images: DecodedImages, tmp_path: Path
) -> None:
    rows = np.arange(4)
    opened(model, images, configured(tmp_path)).at_boundary(None, rows, ignore)
    edited = opened(build(scale=1 / 255), images, configured(tmp_path))  # the same weights
    with pytest.raises(UserError, match=r"differs from what .* make clean-cache"):
        edited.at_boundary(None, rows, ignore)


def test_the_budget_is_held_and_names_the_ways_out(
    model: Any, images: DecodedImages, tmp_path: Path
) -> None:
    config = configured(tmp_path, "env.cache_limit_gb=1e-5")
    with pytest.raises(UserError, match=r"cache_limit_gb=1e-05: make clean-cache.*fit\.cache=none"):
        opened(model, images, config).at_boundary(0, np.arange(COUNT), ignore)
    opened(model, images, configured(tmp_path)).at_boundary(0, np.arange(COUNT), ignore)


def test_values_beyond_float16_are_refused(images: DecodedImages, tmp_path: Path) -> None:
    huge = build()
    huge.get_layer("frozen").set_weights([w * 1e6 for w in huge.get_layer("frozen").get_weights()])
    with pytest.raises(UserError, match=r"exceed the range of float16.*fit\.cache=none"):
        opened(huge, images, configured(tmp_path)).at_boundary(None, np.arange(4), ignore)


def test_a_connection_around_the_boundary_is_refused() -> None:
    import keras

    pixels = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="early")(pixels)
    y = keras.layers.Conv2D(4, 3, padding="same", name="boundary")(x)
    around = keras.Model(pixels, head(keras.layers.Add()([x, y]), 2, 8, 0.2), name="around")
    with pytest.raises(UserError, match=r"model\.freeze=boundary does not part around.*none"):
        split_at(around, "boundary")
