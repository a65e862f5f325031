"""What `transform` hides is seen by nothing: not in training, nor by the probes or the service."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from conf.errors import UserError
from conf.schema import Transform
from deploy.serving.images.engine import Engine
from models import cover
from models.common import PROBABILITIES, export_onnx, onnx_predict
from models.vgg16ft.model import build
from tests.common import configuration
from tests.train.test_gate import (
    MASKED,
    METADATA,
    PER_CLASS,
    checked,
    drawn,
    splits_of,
    training,
)  # fmt: skip
from train.common.evaluation.explain import grad_cam
from train.common.fitting.devices import used
from train.common.fitting.engines import engine
from train.common.fitting.inputs import CachedInputs
from train.common.fitting.progress import EpochBar

SIDE = 32
INSET = "[0,0.7,0.35,1]"
HIDING = ["transform.hide_border=0.1", f"transform.hide_inset={INSET}"]
BOTH = Transform(image_size=SIDE, hide_border=0.1, hide_inset=[0.0, 0.7, 0.35, 1.0])
EXACT = 1e-5
WHITE = 250


@pytest.fixture(scope="module")
def plain() -> keras.Model:
    keras.utils.set_random_seed(0)
    settings = configuration("+pipeline=train_vgg16ft", f"env.limits.image_size={SIDE}")
    return build(settings.model, 2)


@pytest.fixture(scope="module")
def hiding(plain: keras.Model) -> keras.Model:
    return cover.covered(plain, BOTH)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3), np.uint8)


def predicted(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    return np.asarray(model(pixels, training=False))


def test_nothing_is_hidden_by_default(plain: keras.Model) -> None:
    assert cover.covered(plain, Transform(image_size=SIDE)) is plain
    assert cover.mask(Transform(), SIDE).all()


def test_the_network_sees_nothing_of_what_is_hidden(
    plain: keras.Model, hiding: keras.Model, pixels: np.ndarray
) -> None:
    seen = cover.mask(BOTH, SIDE)
    assert seen[3:22, 3:29].all() and not seen[22:, :11].any() and not seen[:3].any()
    np.testing.assert_array_equal(predicted(hiding, pixels), predicted(plain, pixels * seen))
    other = np.where(seen == 1, pixels, 255 - pixels)
    np.testing.assert_array_equal(predicted(hiding, pixels), predicted(hiding, other))
    assert np.abs(predicted(plain, pixels) - predicted(plain, other)).max() > EXACT


def test_the_exported_graph_hides_the_same(
    plain: keras.Model, hiding: keras.Model, pixels: np.ndarray, tmp_path: Path
) -> None:
    export_onnx(hiding, tmp_path / "hiding.onnx")
    export_onnx(plain, tmp_path / "plain.onnx")
    ours = predicted(hiding, pixels)
    theirs = onnx_predict(tmp_path / "hiding.onnx", pixels)[PROBABILITIES]
    np.testing.assert_allclose(theirs, ours, atol=EXACT)
    service = Engine(tmp_path / "hiding.onnx", threads=1)
    served, maps = service.run(pixels)[:2]
    np.testing.assert_allclose(served, ours, atol=EXACT)
    targets = ours.argmax(axis=1)
    cams = grad_cam(hiding, pixels, targets)
    np.testing.assert_allclose(service.head.grad_cam(maps, targets), cams, atol=1e-3 * cams.max())
    bare = onnx_predict(tmp_path / "plain.onnx", pixels)[PROBABILITIES]
    assert np.abs(bare - ours).max() > EXACT


def test_openvino_hides_the_same(hiding: keras.Model, pixels: np.ndarray) -> None:
    devices = used(configuration("+pipeline=train_vgg16ft").fit)
    compute = engine(hiding, "float32", devices)
    np.testing.assert_allclose(compute(pixels), predicted(hiding, pixels), atol=EXACT)


def test_a_saved_network_hides_the_same(
    hiding: keras.Model, pixels: np.ndarray, tmp_path: Path
) -> None:
    hiding.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(predicted(again, pixels), predicted(hiding, pixels))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"hide_border": 0.5}, "transform.hide_border=0.5 is hidden at each side"),
        ({"hide_border": -0.1}, "transform.hide_border=-0.1"),
        ({"hide_inset": [0.5, 0.0, 0.5, 1.0]}, r"give \[left, top, right, bottom\]"),
        ({"hide_inset": [0.1, 0.2]}, "transform.hide_inset="),
    ],
)
def test_settings_that_make_no_mask_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        cover.mask(Transform(**setting), SIDE)


def framed(pixels: np.ndarray) -> np.ndarray:
    return np.pad(pixels[2:-2, 2:-2], ((2, 2), (2, 2), (0, 0)), constant_values=255)


def with_inset(pixels: np.ndarray) -> np.ndarray:
    marked = pixels.copy()
    marked[-12:, :14] = (0, 200, 0)
    return marked


@pytest.mark.parametrize(
    ("planted", "setting", "probe"),
    [
        (framed, "transform.hide_border=0.1", MASKED),
        (with_inset, f"transform.hide_inset={INSET}", MASKED),
        (with_inset, f"transform.hide_inset={INSET}", METADATA),
    ],
)
def test_probes_find_a_planted_shortcut_until_it_is_hidden(
    tmp_path: Path, planted: Any, setting: str, probe: str
) -> None:
    root = drawn(tmp_path / "set", planted)
    found = checked(training(root))[probe]
    assert found.low > 0.9 and "transform.hide_border" in found.way_out
    hidden = checked(training(root, setting))[probe]
    assert hidden.low <= hidden.chance and not hidden.said


@pytest.fixture
def caches(tmp_path: Path, plain: keras.Model) -> Iterator[dict[str, Any]]:
    """Pixels and activations of the same images, plain and hidden, in one cache."""
    root = drawn(tmp_path / "set", framed)
    with EpochBar() as bar:
        found = {}
        for name, words in {"plain": [], "hidden": HIDING}.items():
            settings = training(root, "fit.augment.shift=0.3", *words)
            splits = splits_of(settings)
            model = cover.covered(plain, settings.transform)
            found[name] = splits.data, CachedInputs(model, splits, settings, bar, "").cache
        yield found


def test_pixels_and_activations_are_not_shared_between_settings(caches: dict[str, Any]) -> None:
    (before, ours), (after, theirs) = caches["plain"], caches["hidden"]
    assert before.pixels != after.pixels and ours.folder != theirs.folder
    seen = cover.mask(BOTH, SIDE)
    np.testing.assert_array_equal(after.load(), before.load() * seen)
    assert (before.load()[:, :3] > 0).any()


def test_a_moved_view_shows_nothing_of_what_is_hidden(caches: dict[str, Any]) -> None:
    framed_ones = np.arange(PER_CLASS, PER_CLASS + 4)
    white = {
        name: int((view.min(axis=-1) > WHITE).sum())
        for name, (_, cache) in caches.items()
        for view in cache._images(0, framed_ones)
    }
    assert white["hidden"] == 0 < white["plain"], white
