"""The generated frames: deterministic, varied, and neither trivial nor hopeless to learn."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conf.errors import UserError
from conf.schema import Source
from datasets.common.images import resize
from datasets.kvasir4.common import CLASSES
from datasets.kvasir4.dataset import build
from datasets.kvasir4.synthetic import draw
from datasets.kvasir4.synthetic.camera import SIDES
from tests.datasets.common import config

PER_CLASS = 50
CHANCE = 1 / len(CLASSES)


def frame(label: int, number: int) -> np.ndarray:
    return draw(label, np.random.SeedSequence([3, label, number]))


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    """`PER_CLASS` frames of each class, class after class."""
    which = [(label, number) for label in range(4) for number in range(PER_CLASS)]
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda one: frame(*one), which))


def score(features: list[list[float]]) -> float:
    """Cross-validated accuracy of a logistic regression."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    labels = np.repeat(range(len(CLASSES)), PER_CLASS)
    return float(cross_val_score(model, np.array(features), labels, cv=5).mean())


def texture(pixels: np.ndarray) -> list[float]:
    """Statistics of brightness and two colour ratios, band by band."""
    view = resize(pixels, 96)[8:88, 8:88].astype(np.float32) / 255 + 0.05
    features = []
    for channel in (view.mean(2), view[..., 1] / view[..., 0], view[..., 2] / view[..., 1]):
        channel = np.log(channel)
        for sigma in (0.7, 1.4, 2.8, 5.6):
            smooth = gaussian_filter(channel, sigma)
            band, channel = channel - smooth, smooth
            features += [np.log(band.std() + 1e-4), *np.percentile(band, (2, 98))]
    return [float(value) for value in features]


def test_the_same_seed_draws_the_same_frame(frames: list[np.ndarray]) -> None:
    assert np.array_equal(frame(2, 0), frames[2 * PER_CLASS])
    assert len({f.tobytes() for f in frames}) == len(frames)


def test_frames_vary_in_size_and_exposure_alike_in_every_class(frames: list[np.ndarray]) -> None:
    for label in range(4):
        mine = frames[label * PER_CLASS : (label + 1) * PER_CLASS]
        sides = [side for f in mine for side in f.shape[:2]]
        assert min(sides) >= SIDES[0] and max(sides) <= SIDES[1]
        assert max(sides) - min(sides) > 0.8 * (SIDES[1] - SIDES[0])
        assert np.std([f.mean() for f in mine]) > 8
        assert len({f.shape[:2] for f in mine}) > PER_CLASS // 2


def test_a_green_inset_is_in_some_frames_of_every_class(frames: list[np.ndarray]) -> None:
    corners = [f[-12:-4, 2:10].astype(int).mean((0, 1)) for f in frames]
    green = np.array([c[1] > c[0] + 60 and c[1] > 120 for c in corners])
    share = green.reshape(4, PER_CLASS).mean(axis=1)
    assert (share > 0.15).all() and (share < 0.7).all(), share


def test_mean_colour_does_not_give_the_class_away(frames: list[np.ndarray]) -> None:
    colours = [resize(f, 32)[6:26, 6:26].mean((0, 1)).tolist() for f in frames]
    assert score(colours) < 0.6


def test_texture_tells_the_classes_apart_but_not_all(frames: list[np.ndarray]) -> None:
    assert 2 * CHANCE < score([texture(f) for f in frames]) < 0.98


def test_a_frame_does_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    def drawn(count: int) -> dict[str, bytes]:
        settings = config(classes=CLASSES, source=Source.sample, sample_images=count)
        table = build(settings, tmp_path).frame
        return {Path(p).parent.name + Path(p).name: Path(p).read_bytes() for p in table["path"]}

    few, more = drawn(5), drawn(6)
    assert len(few) == 20 and len(more) == 24
    assert few.items() <= more.items()


def test_too_small_a_sample_is_refused(tmp_path: Path) -> None:
    settings = config(classes=CLASSES, source=Source.sample, sample_images=50, limit=4)
    with pytest.raises(UserError, match="4 images per class; 5 or more are needed"):
        build(settings, tmp_path)


def test_a_class_that_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    settings = config(classes=[*CLASSES, "4_more"], source=Source.sample, sample_images=5)
    with pytest.raises(UserError, match=r"sample cannot draw 4_more .*choices: 0_normal"):
        build(settings, tmp_path)
    assert not any(tmp_path.rglob("*.jpg"))


def test_frames_are_written_as_jpeg(tmp_path: Path) -> None:
    settings = config(classes=CLASSES, source=Source.sample, sample_images=5)
    with Image.open(build(settings, tmp_path).frame["path"].iat[0]) as image:
        assert image.format == "JPEG"
