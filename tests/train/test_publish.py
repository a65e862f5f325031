"""What leaves training: float32 unless int8 was asked for and validation allows it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conf.schema import Precision
from models.common import head
from tests.common import configuration, new_store
from train.common.data.types import DecodedImages, Splits, TrainedModel
from train.common.export.images import calibration_rows, dicom_window, export
from train.common.fitting.checkpoint import Checkpoints
from train.common.tracking.examples import drawn_images

SIDE = 32
CLASSES = ("dark", "bright")


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    """24 noise images, dark and bright in turn: 12 for training, 6 and 6."""
    rng = np.random.default_rng(0)
    labels = np.arange(24) % 2
    pixels = rng.integers(0, 100, (24, SIDE, SIDE, 3)) + 150 * labels[:, None, None, None]
    path = tmp_path_factory.mktemp("pixels") / "pixels.npy"
    np.save(path, pixels.astype(np.uint8))
    nothing = pd.DataFrame()
    table = pd.DataFrame({"label": labels, "cluster": np.arange(24)})
    images = DecodedImages(
        name="toy", classes=CLASSES, frame=table, quarantined=nothing, duplicates=nothing,
        digest="d" * 64, pixels=path,
    )  # fmt: skip
    train, validation, test = np.split(np.random.default_rng(1).permutation(24), [12, 18])
    return Splits(images, train, validation, test, "s" * 64, 0)


@pytest.fixture(scope="module")
def model() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    pixels = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="image")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(pixels)
    features = keras.layers.Conv2D(16, 3, activation="relu")(scaled)
    return keras.Model(pixels, head(features, 2, hidden=8, dropout=0.2), name="toy")


def test_the_dicom_window_of_the_training_goes_with_the_model() -> None:
    given = ("dataset.dicom.centre=40", "dataset.dicom.width=400")
    assert dicom_window(configuration("+pipeline=train_vgg16ft", *given)) == [40.0, 400.0]
    assert dicom_window(configuration("+pipeline=train_resnet50v2ft")) == []


@pytest.fixture
def tracking(tmp_path: Path) -> Iterator[None]:
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(new_store(tmp_path))
    experiment = mlflow.create_experiment("toy", f"file://{tmp_path}/artifacts")
    with mlflow.start_run(experiment_id=experiment):
        yield
    mlflow.set_tracking_uri(before)


def published(model: Any, splits: Splits, folder: Path, *overrides: str) -> tuple[Any, int]:
    """Metadata of what was registered, and how many of its operations are in integers."""
    import mlflow
    import onnx

    config = configuration("+pipeline=train_resnet50v2ft", *overrides)
    checkpoints = Checkpoints(folder, {}, "val_loss")
    export(TrainedModel(model, pd.DataFrame(), 1, checkpoints.remove), splits, config)
    assert not list((folder / "checkpoints").iterdir())
    uri = "models:/resnet50v2ft-kvasir4@challenger"
    path = Path(mlflow.artifacts.download_artifacts(uri), "model.onnx")
    nodes = onnx.load(path).graph.node
    rounded = sum(node.op_type == "QuantizeLinear" for node in nodes)
    return mlflow.models.get_model_info(uri).metadata, rounded


def test_int8_is_registered_where_validation_allows_it(
    model: Any, splits: Splits, tracking: None, tmp_path: Path
) -> None:
    overrides = ["publish.precision=int8", "publish.max_accuracy_loss=1"]
    metadata, rounded = published(model, splits, tmp_path, *overrides)
    assert metadata["precision"] == Precision.int8.name
    assert abs(metadata["int8_accuracy_loss"]) <= 1
    assert rounded > 0


def test_float32_is_registered_where_int8_loses_too_much(
    model: Any, splits: Splits, tracking: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    overrides = ["publish.precision=int8", "publish.max_accuracy_loss=-1"]
    metadata, rounded = published(model, splits, tmp_path, *overrides)
    assert metadata["precision"] == Precision.fp32.name
    assert rounded == 0
    assert "publish.max_accuracy_loss=-1" in caplog.text


def test_no_image_leaves_with_the_model(
    model: Any, splits: Splits, tracking: None, tmp_path: Path
) -> None:
    import mlflow

    published(model, splits, tmp_path, "publish.precision=int8", "publish.max_accuracy_loss=1")
    registered = mlflow.pyfunc.load_model("models:/resnet50v2ft-kvasir4@challenger")
    np.testing.assert_array_equal(registered.input_example, drawn_images(SIDE))
    answer = registered.predict(registered.input_example)
    assert answer["probabilities"].shape == (1, len(CLASSES))
    files = [path.read_bytes() for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    stored = [(content, b"".join(content.split())) for content in files]
    drawn = as_text(drawn_images(SIDE)[0])
    assert any(drawn in text for _, text in stored), "nothing was looked at"
    for pixels in splits.data.load():
        row = pixels[0]
        for content, text in stored:
            assert row.tobytes() not in content
            assert row.astype(np.float32).tobytes() not in content
            assert as_text(pixels) not in text


def as_text(image: np.ndarray) -> bytes:
    """How JSON shows the first pixels of (H, W, 3), without blanks."""
    return str(image[0, :3].tolist()).replace(" ", "")[1:-1].encode()


def test_calibration_sees_training_images_only(splits: Splits) -> None:
    few = calibration_rows(splits, 5, seed=0)
    assert len(few) == len(set(few)) == 5
    assert set(few) < set(splits.train)
    assert set(calibration_rows(splits, 1000, seed=0)) == set(splits.train)
    assert list(calibration_rows(splits, 5, seed=0)) == list(few)
    assert list(calibration_rows(splits, 5, seed=1)) != list(few)
