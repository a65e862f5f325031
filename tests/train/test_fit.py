"""Fitting, on a network that trains in a second: resuming, stopping, weighting, choosing."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conf.errors import UserError
from conf.schema import Phase, Schedule
from models.common import head
from tests.common import configuration
from tests.two_phases import fine_tune
from train.common.data.types import DecodedImages, Splits, TrainedModel
from train.common.fitting import inputs
from train.common.fitting.trainer import EpochLog, rate

SIZE, TRAIN, VALIDATION = 16, 48, 24
SAME = 1e-6
SCALE = 1 / 127.5


class StoppedError(Exception):
    """Stands for a kill after an epoch's checkpoint is written."""


def build(config: Any, classes: int) -> Any:
    import keras

    pixels = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    x = keras.layers.Rescaling(SCALE, offset=-1.0)(pixels)
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="frozen")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="tail")(x)
    return keras.Model(pixels, head(x, classes, config.hidden, config.dropout), name="tiny")


def toy(folder: Path) -> Splits:
    """Bright and dark images, three dark ones to a bright one; their pixels in `folder`."""
    rng = np.random.default_rng(0)
    count = TRAIN + VALIDATION
    labels = np.arange(count) % 4 == 0
    pixels = rng.integers(0, 160, (count, SIZE, SIZE, 3)) + 60 * labels[:, None, None, None]
    path = folder / "pixels.npy"
    np.save(path, pixels.astype(np.uint8))
    table = pd.DataFrame({"label": labels.astype(int)})
    images = DecodedImages(
        name="toy", classes=("dark", "bright"), frame=table, quarantined=table, duplicates=table,
        digest="0", pixels=path,
    )  # fmt: skip
    rows = np.arange(count)
    return Splits(images, rows[:TRAIN], rows[TRAIN:], rows[TRAIN:], "digest", 0)


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    return toy(tmp_path_factory.mktemp("pixels"))


def configured(cache: Path, *overrides: str) -> Any:
    return configuration(
        "+pipeline=train_resnet50v2ft", f"env.cache={cache}", "model.freeze=frozen",
        "fit.batch_size=12", "fit.warmup.epochs=2", "fit.finetune.epochs=3",
        "fit.finetune.learning_rate=0.01", "fit.precision=float32", *overrides,
    )  # fmt: skip


STORED = pytest.param("activations", marks=pytest.mark.slow)
"""Each training of it translates two networks for OpenVINO, 5 seconds of CPU."""


@pytest.fixture(scope="module", params=["none", STORED])
def cache(request: pytest.FixtureRequest) -> str:
    return request.param


as_it_comes = pytest.mark.parametrize("cache", ["activations"], indirect=True)


@pytest.fixture
def settings(tmp_path: Path, cache: str) -> Callable[..., Any]:
    return partial(configured, tmp_path, f"fit.cache={cache}")


class Heard:
    """Takes down what a training logs; stands for a kill after the epoch `stop_after`."""

    def __init__(self, stop_after: int = 0, run: str = "this run") -> None:
        self.id, self.stop_after = run, stop_after
        self.lines: list[str] = []

    def log_epoch(self, epoch: int, _values: dict[str, Any]) -> None:
        self.lines.append(f"epoch {epoch}")
        if epoch == self.stop_after:
            raise StoppedError

    def log_resumed(self, earlier: str) -> None:
        self.lines.append(f"resumed {earlier}")


def train(
    splits: Splits, config: Any, run: EpochLog, built: Callable[..., Any] = build
) -> TrainedModel:
    """The two phases of a pipeline on the toy."""
    return fine_tune(splits, config, built, run)


def fitted(splits: Splits, config: Any, stop_after: int = 0) -> tuple[TrainedModel, list[str]]:
    """The result, and what was heard meanwhile."""
    run = Heard(stop_after)
    return train(splits, config, run), run.lines


@pytest.fixture(scope="module")
def unbroken(splits: Splits, tmp_path_factory: pytest.TempPathFactory, cache: str) -> TrainedModel:
    folder = tmp_path_factory.mktemp("unbroken")
    return fitted(splits, configured(folder, f"fit.cache={cache}"))[0]


def weights(model: Any) -> dict[str, np.ndarray]:
    return {weight.path: weight.numpy() for weight in model.weights}


@pytest.mark.slow
def test_an_epoch_takes_no_more_batches_than_it_may(
    splits: Splits, settings: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    for kind in (inputs.PixelInputs, inputs.CachedInputs):
        through = kind.training

        def counted(self: Any, *given: Any, through: Any = through) -> Any:
            data = through(self, *given)
            seen.append(int(data.cardinality()))
            return data

        monkeypatch.setattr(kind, "training", counted)
    fitted(splits, settings("fit.steps=2"))
    assert seen == [2] * 5
    fitted(splits, settings("fit.steps=null"))
    assert seen[5:] == [TRAIN // 12] * 5


@pytest.mark.parametrize("stop_after", [1, 2, 4])
def test_a_resumed_training_takes_the_steps_of_an_unbroken_one(
    splits: Splits, settings: Callable[..., Any], unbroken: TrainedModel, stop_after: int
) -> None:
    with pytest.raises(StoppedError):
        fitted(splits, settings(), stop_after)
    resumed, heard = fitted(splits, settings())
    assert heard == ["resumed this run", *(f"epoch {number}" for number in range(1, 6))]
    assert resumed.best_epoch == unbroken.best_epoch
    shown = ["loss", "accuracy", "val_loss", "val_accuracy"]
    np.testing.assert_allclose(resumed.history[shown], unbroken.history[shown], atol=SAME)
    for path, values in weights(unbroken.model).items():
        np.testing.assert_allclose(weights(resumed.model)[path], values, atol=SAME)


@pytest.mark.slow
@as_it_comes
def test_other_settings_or_resume_false_start_afresh(
    splits: Splits, settings: Callable[..., Any]
) -> None:
    with pytest.raises(StoppedError):
        fitted(splits, settings(), stop_after=2)
    assert "resumed this run" not in fitted(splits, settings("seed=1"))[1]
    assert "resumed this run" not in fitted(splits, settings("fit.resume=false"))[1]


def test_warm_up_moves_the_head_alone_and_fine_tuning_what_is_behind_the_boundary(
    splits: Splits, settings: Callable[..., Any], unbroken: TrainedModel
) -> None:
    import keras

    keras.utils.set_random_seed(0)
    start = weights(build(settings().model, 2))
    warm = weights(fitted(splits, settings("fit.finetune.epochs=0"))[0].model)
    tuned = weights(unbroken.model)

    def moved(after: dict[str, np.ndarray]) -> set[str]:
        names = {path.split("/")[0] for path in start if (after[path] != start[path]).any()}
        return names - {"dropout"}  # its random state is a weight, too

    assert moved(warm) == {"hidden", "probabilities"}
    assert moved(tuned) == {"tail", "hidden", "probabilities"}


def test_bfloat16_learns_nearly_the_same_and_leaves_a_model_in_float32(
    splits: Splits, settings: Callable[..., Any], unbroken: TrainedModel
) -> None:
    result, _ = fitted(splits, settings("fit.precision=bfloat16"))
    assert {layer.dtype_policy.name for layer in result.model.layers} == {"float32"}
    assert {weight.dtype for weight in result.model.trainable_weights} == {"float32"}
    losses = result.history["loss"], unbroken.history["loss"]
    np.testing.assert_allclose(*losses, rtol=0.02)
    assert (losses[0] != losses[1]).any()


def test_the_best_epoch_on_validation_is_what_comes_back(
    splits: Splits, settings: Callable[..., Any]
) -> None:
    result, _ = fitted(splits, settings("fit.finetune.learning_rate=3.0"))  # diverges
    assert result.best_epoch == int(result.history["val_loss"].idxmin()) + 1
    assert result.best_epoch < 5
    pixels, labels = splits.data.load()[splits.validation], splits.labels(splits.validation)
    probabilities = result.model.predict(pixels, verbose=0)
    loss = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
    assert loss == pytest.approx(result.history["val_loss"].min(), abs=1e-5)


@pytest.mark.slow
@as_it_comes
def test_patience_ends_fine_tuning_early(splits: Splits, settings: Callable[..., Any]) -> None:
    endless = "fit.finetune.epochs=9", "fit.finetune.learning_rate=3.0"
    result, _ = fitted(splits, settings(*endless, "fit.patience=2"))
    assert len(result.history) < 11
    assert len(result.history) - result.best_epoch == 2


@pytest.mark.slow
@as_it_comes
def test_balanced_class_weights_make_the_rare_class_likelier(
    splits: Splits, settings: Callable[..., Any], unbroken: TrainedModel
) -> None:
    pixels = splits.data.load()[splits.validation]
    balanced, _ = fitted(splits, settings("fit.class_weights=balanced"))
    rare = [result.model.predict(pixels, verbose=0)[:, 1].mean() for result in (unbroken, balanced)]
    assert rare[1] > rare[0] + 0.05


@as_it_comes
def test_a_loss_that_is_no_number_stops_and_names_the_learning_rate(
    splits: Splits, settings: Callable[..., Any]
) -> None:
    with pytest.raises(UserError, match=r"epoch 1: lower fit\.warmup\.learning_rate=nan"):
        fitted(splits, settings("fit.warmup.learning_rate=nan"))


@as_it_comes
def test_no_epochs_at_all_are_refused(splits: Splits, settings: Callable[..., Any]) -> None:
    with pytest.raises(UserError, match=r"fit\.warmup\.epochs and fit\.finetune\.epochs are 0"):
        fitted(splits, settings("fit.warmup.epochs=0", "fit.finetune.epochs=0"))


@as_it_comes
def test_no_views_at_all_are_refused(splits: Splits, settings: Callable[..., Any]) -> None:
    with pytest.raises(UserError, match=r"fit\.views=0: 1 or more, or null"):
        fitted(splits, settings("fit.views=0"))


@as_it_comes
def test_fewer_images_than_a_batch_are_refused(
    splits: Splits, settings: Callable[..., Any]
) -> None:
    with pytest.raises(UserError, match=r"48 training images.*batch of 64.*fit\.batch_size to 48"):
        fitted(splits, settings("fit.batch_size=64"))


def test_a_cosine_lowers_the_rate_epoch_by_epoch() -> None:
    phase = Phase(epochs=4, learning_rate=1e-4)
    assert [rate(phase, Schedule.constant, done) for done in range(4)] == [1e-4] * 4
    rates = [rate(phase, Schedule.cosine, done) for done in range(4)]
    assert rates == pytest.approx([1e-4, 0.854e-4, 0.5e-4, 0.146e-4], rel=1e-2)


@pytest.mark.slow
def test_views_of_one_epoch_leave_nothing_behind(splits: Splits, tmp_path: Path) -> None:
    result, _ = fitted(splits, configured(tmp_path, "fit.views=null", "fit.augment.rotation=5"))
    assert len(result.history) == 5
    left = {path.name.split(".")[0] for path in tmp_path.glob("activations/*/*.npy")}
    assert {name.split("-")[0] for name in left} == {"images"}
