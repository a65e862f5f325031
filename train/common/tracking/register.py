"""Log trained models to MLflow, and register them as challengers."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
from mlflow.models import ModelSignature, infer_signature
from mlflow.models.model import ModelInfo
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from conf.schema import ImageTraining, TableTraining
from datasets.common.fetching.download import file_sha256
from models.common import PROBABILITIES, onnx_predict
from train.common.tracking.examples import drawn_images, typical_rows
from train.common.tracking.provenance import requirements

if TYPE_CHECKING:
    import keras
    from sklearn.pipeline import Pipeline

log = logging.getLogger(__name__)

FILES = "files_sha256"
"""Tag of a logged model with the sha256 of its files, as JSON; whoever loads it checks them."""
NOTED = "registered_model_meta"
"""A file that MLflow adds to a model on the way, with the name by which it was asked for."""


def log_models(
    model: "keras.Model",
    onnx_path: Path,
    settings: ImageTraining | TableTraining,
    metadata: dict[str, Any],
) -> str:
    """Log `keras` and `serving` (ONNX), register the latter as `challenger`, return its version.

    The input example is generated, so that no data of patients is stored with the model.
    """
    import onnx

    pixels = drawn_images(metadata["image_size"])  # (1, S, S, 3)
    outputs = onnx_predict(onnx_path, pixels)
    signature = infer_signature(pixels, outputs)
    log_keras(model, metadata)
    info = mlflow.onnx.log_model(
        onnx.load(onnx_path),
        name="serving",
        signature=signature,
        input_example=pixels,
        onnx_execution_providers=["CPUExecutionProvider"],
        pip_requirements=requirements("onnxruntime", "onnx", "numpy"),
        metadata=metadata,
        save_as_external_data=False,  # one file, which is copied as a whole
    )
    _note_files(info)
    return _register(info.model_uri, settings)


def log_keras(model: "keras.Model", metadata: dict[str, Any]) -> None:
    """Log `keras`, without its optimizer, which would triple its size."""
    bare = type(model)(model.input, model.output, name=model.name)
    given, answers = (
        TensorSpec(np.dtype(each.dtype), (-1, *each.shape[1:]))
        for each in (model.input, model.output)
    )
    info = mlflow.tensorflow.log_model(
        bare,
        name="keras",
        signature=ModelSignature(Schema([given]), Schema([answers])),
        pip_requirements=requirements("tensorflow", "keras", "numpy"),
        metadata=metadata,
    )
    _note_files(info)


def log_table_model(
    model: "Pipeline",
    trusted: Sequence[str],
    settings: ImageTraining | TableTraining,
    metadata: dict[str, Any],
) -> str:
    """Log `serving` as skops, register it as `challenger`, return its version.

    Signature and input example are made from `metadata["schema"]`, the JSON Schema of the
    dataset's contract. `trusted` are the types that skops may build.
    """
    columns = metadata["schema"]["properties"]
    outputs = TensorSpec(np.dtype(np.float64), (-1, len(metadata["classes"])), PROBABILITIES)
    info = mlflow.sklearn.log_model(
        model,
        name="serving",
        serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
        skops_trusted_types=list(trusted),
        pyfunc_predict_fn="predict_proba",
        signature=ModelSignature(
            Schema([_column(name, each) for name, each in columns.items()]), Schema([outputs])
        ),
        input_example=typical_rows(metadata["schema"]),
        pip_requirements=requirements("scikit-learn", "skops", "numpy", "pandas"),
        metadata=metadata,
    )
    _note_files(info)
    return _register(info.model_uri, settings)


def _note_files(info: ModelInfo) -> None:
    """Record the sha256 of each file of a logged model, as the store gives it back."""
    with TemporaryDirectory() as folder:
        stored = Path(mlflow.artifacts.download_artifacts(info.model_uri, dst_path=folder))
        found = {
            path.relative_to(stored).as_posix(): file_sha256(path)
            for path in sorted(stored.rglob("*"))
            if path.is_file() and path.name != NOTED
        }
    tags = {FILES: json.dumps(found)}
    mlflow.MlflowClient().set_logged_model_tags(info.model_id, tags)


def _column(name: str, schema: dict[str, Any]) -> ColSpec:
    """MLflow's type of a column; a column that may be null is optional."""
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    known = {"string": DataType.string, "integer": DataType.long, "number": DataType.double}
    return ColSpec(known[kinds[0]], name, required="null" not in kinds)


def _register(uri: str, settings: ImageTraining | TableTraining) -> str:
    """Register the logged model at `uri` as the newest version and the challenger."""
    name = f"{settings.model.name}-{settings.dataset.name}"
    version = mlflow.register_model(uri, name, tags={"env": settings.env.name})
    mlflow.MlflowClient().set_registered_model_alias(name, "challenger", version.version)
    log.info("registered %s version %s as challenger", name, version.version)
    return str(version.version)
