"""Read finished runs and the models that they registered.

Everyone with write access to MLflow can store a model, so no model is trusted. MLflow's loaders are
not used, because they take the format and the trusted types from the model itself. This module
reads files of three formats, from a fixed place and with its own list of trusted types: ONNX, Keras
in safe mode, skops.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from omegaconf import DictConfig, OmegaConf

from conf.errors import UserError
from conf.schema import (
    ImageModelStudy,
    ImagePrediction,
    ImageTraining,
    TableModelStudy,
    TablePrediction,
    TableTraining,
)
from datasets.common.fetching.download import file_sha256
from datasets.common.images import READER
from models.tables import TRUSTED
from train.common.tracking.connection import NOT_FOUND, runs_of, status_of
from train.common.tracking.provenance import settings_digest
from train.common.tracking.register import FILES as RECORDED

if TYPE_CHECKING:
    import keras
    from sklearn.pipeline import Pipeline

log = logging.getLogger(__name__)

OfModel = (
    ImageTraining
    | ImageModelStudy
    | ImagePrediction
    | TableTraining
    | TableModelStudy
    | TablePrediction
)
"""Settings that name a model and a dataset."""
FILES = {"onnx": "model.onnx", "tensorflow": "data/model.keras", "sklearn": "model.skops"}
"""The file of a model that is read, by MLflow's flavour."""
NO_ALIAS = 400
"""Status if a registered model lacks the alias; `NOT_FOUND` if the model does not exist."""
PICKLES = (".pkl", ".pickle", ".cloudpickle", ".joblib", ".dill")


@dataclass(frozen=True)
class Registered:
    """A model that a training registered, and its metadata."""

    name: str
    version: str
    uri: str
    run_id: str
    metadata: dict[str, Any]
    """Classes, image size and data digest, as logged with the model."""
    tags: dict[str, str]
    """Tags of its run."""


@dataclass(frozen=True)
class FoldRun:
    """The finished run of one fold of a cross-validation."""

    run_id: str
    tags: dict[str, str]


def registered(settings: OfModel, uri: str | None) -> Registered:
    """The model at `uri`; without `uri`, the champion of the registry, else its challenger.

    Raises `UserError` when there is none, and when no training of this project registered it.
    """
    name = f"{settings.model.name}-{settings.dataset.name}"
    choices = f"models:/{name}/<version>, models:/{name}@<alias> or runs:/<run id>/serving"
    if uri and not uri.startswith(("models:/", "runs:/")):
        raise UserError(f"model_uri={uri}: expected {choices}")
    client = mlflow.MlflowClient()
    found = uri or _alias(name, "champion") or _alias(name, "challenger")
    if not found:
        raise UserError(
            f"env.tracking_uri={settings.env.tracking_uri} has neither champion nor challenger of "
            f"{name}: train one (python -m train +pipeline=train_{settings.model.name}), or name a "
            f"model, model_uri={choices}"
        )
    try:
        info = mlflow.models.get_model_info(found)
        tags = client.get_run(info.run_id).data.tags
    except (MlflowException, OSError) as error:
        raise UserError(f"model_uri={found} cannot be found ({error}); {choices}") from None
    metadata = info.metadata or {}
    if not metadata.get("classes"):
        raise UserError(f"model_uri={found} is no model that a training registered; {choices}")
    if "image_size" in metadata and metadata.get("reader") != READER:
        raise UserError(
            f"model_uri={found} was trained on other pixels than this revision reads from the same "
            f"files: train it again, or use the revision of its run, {tags.get('git_revision')}"
        )
    versions = client.search_model_versions(f"run_id='{info.run_id}'")
    version = str(versions[0].version) if versions else "unregistered"
    log.info("%s is version %s of %s, run %s", found, version, name, info.run_id)
    return Registered(name, version, found, info.run_id, metadata, tags)


def fetch_model(model: Registered) -> Path:
    """The ONNX file of a registered model of images."""
    return _file(model.uri, "onnx")


def fetch_keras(model: Registered) -> "keras.Model":
    """The Keras model that the run of `model` logged with it."""
    return load_keras(keras_uri(model.run_id, model.uri))


def load_keras(uri: str) -> "keras.Model":
    """The Keras model at `uri`. Raises `UserError` for a model that contains code."""
    import keras

    try:
        return keras.models.load_model(_file(uri, "tensorflow"), compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise UserError(
            f"{uri} is refused: Keras does not read it in safe mode ({str(error).strip()}); only "
            "layers of Keras itself are taken"
        ) from None


def keras_uri(run_id: str, named: str) -> str:
    """The URI of the model `keras` of a run; `named` is the name that messages use."""
    client = mlflow.MlflowClient()
    experiment = client.get_run(run_id).info.experiment_id
    logged = client.search_logged_models([experiment], f"source_run_id='{run_id}'")
    uri = next((found.model_uri for found in logged if found.name == "keras"), None)
    if uri is None:
        raise UserError(f"run {run_id} of {named} logged no Keras model: choose another")
    return str(uri)


def fetch_sklearn(model: Registered) -> "Pipeline":
    """The pipeline of a registered model of tables.

    skops builds the types that it knows and those of `models.tables.TRUSTED`. Raises `UserError`,
    which names the type, for any other.
    """
    import skops.io
    from skops.io.exceptions import UnsupportedTypeException, UntrustedTypesFoundException

    try:
        return skops.io.load(_file(model.uri, "sklearn"), trusted=list(TRUSTED))
    except (UntrustedTypesFoundException, UnsupportedTypeException, ValueError, OSError) as error:
        raise UserError(
            f"{model.uri} is refused: skops does not read it with the types that are trusted "
            f"({str(error).strip()})"
        ) from None


def _file(uri: str, flavor: str) -> Path:
    """The file of the model at `uri` that is read, in the place where trainings store it.

    Raises `UserError` for a model that is stored in another way, or contains code.
    """
    folder = Path(mlflow.artifacts.download_artifacts(uri))
    flavors = mlflow.models.Model.load(str(folder)).flavors
    pickled = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if _pickle(p))
    known = FILES.keys() & flavors.keys()
    stored = flavors.get("sklearn", {}).get("serialization_format", "skops")
    code = flavors.get("python_function", {}).get("code")
    if known != {flavor} or not (folder / FILES[flavor]).is_file():
        reason = f"expected {FILES[flavor]} of MLflow's flavour {flavor}, found {_named(flavors)}"
    elif stored != "skops":
        reason = f"it is stored as {stored}, which runs code when it is loaded"
    elif pickled:
        reason = f"it holds {', '.join(pickled)}, which run code when they are loaded"
    elif code:
        reason = f"it brings code of its own, {code}"
    elif changed := _changed(uri, folder):
        reason = f"{changed} is not the file that its training recorded"
    else:
        return folder / FILES[flavor]
    raise UserError(f"{uri} is refused: {reason}; train the model here, or choose another")


def _changed(uri: str, folder: Path) -> str:
    """The first file of the model in `folder` whose sha256 is not the recorded one; "" if none."""
    model_id = mlflow.models.get_model_info(uri).model_id
    tags = mlflow.MlflowClient().get_logged_model(model_id).tags if model_id else {}
    for name, recorded in json.loads(tags.get(RECORDED, "{}")).items():
        if not (folder / name).is_file() or file_sha256(folder / name) != recorded:
            return str(name)
    return ""


def _pickle(path: Path) -> bool:
    return path.suffix in PICKLES


def _named(flavors: dict[str, Any]) -> str:
    return ", ".join(sorted(flavors)) or "none"


def fetch_table(run: Registered | FoldRun, artifact: str) -> pd.DataFrame:
    """A CSV file that a run logged, for example `data/splits.csv`."""
    path = mlflow.artifacts.download_artifacts(run_id=run.run_id, artifact_path=artifact)
    return pd.read_csv(path, dtype={"file": str})


def has(run: FoldRun, artifact: str) -> bool:
    """Whether a run logged the file `artifact`."""
    folder = artifact.rpartition("/")[0]
    listed = mlflow.MlflowClient().list_artifacts(run.run_id, folder)
    return any(found.path == artifact for found in listed)


def finished_run(run_id: str) -> FoldRun:
    """The finished run `run_id`. Raises `UserError` if it is missing or logged no predictions."""
    try:
        run = mlflow.MlflowClient().get_run(run_id)
    except MlflowException as error:
        raise UserError(f"run {run_id} cannot be found: {error}; make mlflow lists runs") from None
    found = FoldRun(run_id, run.data.tags)
    if run.info.status != "FINISHED" or not has(found, "tables/predictions.csv"):
        raise UserError(
            f"run {run_id} has no predictions (status {run.info.status}): name a finished training"
        )
    return found


def fetch_config(run: Registered | FoldRun) -> DictConfig:
    """The resolved configuration of a run."""
    path = mlflow.artifacts.download_artifacts(run_id=run.run_id, artifact_path="config.yaml")
    loaded = OmegaConf.load(path)
    assert isinstance(loaded, DictConfig)
    return loaded


def finished_folds(settings: ImageTraining, data_digest: Callable[[], str]) -> dict[int, FoldRun]:
    """The finished runs with these `settings` on the data of `data_digest`, by fold.

    The digest is computed only if there are runs with these settings. Raises `UserError` when a
    fold has two runs.
    """
    runs = runs_of(
        settings,
        f"attributes.status = 'FINISHED' and tags.settings_digest = '{settings_digest(settings)}' "
        "and params.`split.fold` != 'None'",
    )
    found: dict[int, FoldRun] = {}
    for run in runs:
        if run.data.tags.get("data_digest") != data_digest():
            log.info("run %s of a fold was trained on other data", run.info.run_id)
            continue
        number = int(run.data.params["split.fold"])
        if number in found:
            raise UserError(
                f"fold {number} was trained twice, by the runs {run.info.run_id} and "
                f"{found[number].run_id}: delete one of them (mlflow runs delete --run-id ...)"
            )
        found[number] = FoldRun(run.info.run_id, run.data.tags)
    return found


def _alias(name: str, alias: str) -> str:
    """The URI of the version of `name` with `alias`; "" if there is none."""
    version = version_with(name, alias)
    return f"models:/{name}/{version}" if version else ""


def version_with(name: str, alias: str) -> str:
    """The version of `name` with `alias`; "" if there is none."""
    try:
        return str(mlflow.MlflowClient().get_model_version_by_alias(name, alias).version)
    except MlflowException as error:
        if status_of(error) in (NO_ALIAS, NOT_FOUND):
            return ""
        raise
