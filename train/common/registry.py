"""Finished runs and the models that they registered, read back by those who go on from them.

Beside `train.common.run`, which writes, this is the only module of training that imports MLflow.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from omegaconf import DictConfig, OmegaConf

from conf.errors import UserError
from datasets.common.images import READER
from train.common.provenance import settings_digest
from train.common.run import experiment

if TYPE_CHECKING:
    import keras
    from sklearn.pipeline import Pipeline

log = logging.getLogger(__name__)

WEIGHTS = re.compile(
    r"models:/(?P<name>[^/@]+)(/(?P<version>\d+)|@(?P<alias>[^/@]+))|runs:/(?P<run>\w+)(/.*)?"
)
"""How `model.weights` names the model of a version, or that of a run."""


@dataclass(frozen=True)
class Registered:
    """A model that a training registered, and what is known of it."""

    name: str
    version: str
    uri: str
    run_id: str
    metadata: dict[str, Any]
    """Classes, image size and data digest, as logged with the model."""
    tags: dict[str, str]
    """Of its run."""


@dataclass(frozen=True)
class FoldRun:
    """The finished run of one fold of a cross-validation."""

    run_id: str
    tags: dict[str, str]


def registered(config: DictConfig, uri: str | None) -> Registered:
    """The model behind `uri`; without one, the champion of the registry, else its challenger.

    Raises `UserError` when there is none, and when it is no model that a training registered.
    """
    name = f"{config.model.name}-{config.dataset.name}"
    choices = f"models:/{name}/<version>, models:/{name}@<alias> or runs:/<run id>/serving"
    if uri and not uri.startswith(("models:/", "runs:/")):
        raise UserError(f"model_uri={uri}: expected {choices}")
    client = mlflow.MlflowClient()
    found = uri or _alias(name, "champion") or _alias(name, "challenger")
    if not found:
        raise UserError(
            f"env.tracking_uri={config.env.tracking_uri} has neither champion nor challenger of "
            f"{name}: train one (python -m train +pipeline=train_{config.model.name}), or name a "
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
    """The folder of a registered model's files."""
    return Path(mlflow.artifacts.download_artifacts(model.uri))


def fetch_keras(model: Registered) -> "keras.Model":
    """The model of research that the run of `model` logged beside it."""
    return load_keras(_keras_uri(model.run_id, model.uri))


def load_keras(uri: str) -> "keras.Model":
    """The Keras model logged at `uri`, built of Keras' own parts alone: no code comes with it.

    Raises `UserError` for one that brings code, in pickled objects or in Lambda layers.
    """
    import keras

    data = Path(mlflow.artifacts.download_artifacts(uri)) / "data"
    if pickled := sorted(data.glob("*.cloudpickle")):
        raise UserError(f"{uri} is refused: it brings pickled code, {pickled[0].name}")
    try:
        return keras.saving.load_model(data / "model.keras", compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{uri} holds no Keras model that is safe to load: {reason}") from error


def _keras_uri(run_id: str, named: str) -> str:
    """The URI of the model `keras` of a run, which `named` led to."""
    client = mlflow.MlflowClient()
    experiment = client.get_run(run_id).info.experiment_id
    logged = client.search_logged_models([experiment], f"source_run_id='{run_id}'")
    uri = next((found.model_uri for found in logged if found.name == "keras"), None)
    if uri is None:
        raise UserError(f"run {run_id} of {named} logged no Keras model: choose another")
    return str(uri)


def names_a_model(weights: str) -> bool:
    """Whether `model.weights` names a model in MLflow."""
    return weights.startswith(("models:/", "runs:/"))


def origin(weights: str) -> Registered:
    """The model that `model.weights` names: by version or alias, or as that of a run.

    The versions of the registry are models to serve; what training goes on from is the Keras
    model of their run. Raises `UserError` where there is none.
    """
    choices = "models:/<name>/<version>, models:/<name>@<alias> or runs:/<run id>/keras"
    given = WEIGHTS.fullmatch(weights)
    if given is None:
        raise UserError(f"model.weights={weights}: expected {choices}")
    client, name, version = mlflow.MlflowClient(), given["name"] or "", given["version"] or ""
    try:
        run_id = given["run"]
        if name:
            found = (
                client.get_model_version_by_alias(name, given["alias"])
                if given["alias"]
                else client.get_model_version(name, version)
            )
            version, run_id = str(found.version), found.run_id
            weights = f"models:/{name}/{version}"
        info = mlflow.models.get_model_info(_keras_uri(run_id, weights))
        tags = client.get_run(run_id).data.tags
    except (MlflowException, OSError) as error:
        raise UserError(f"model.weights={weights} cannot be found ({error}); {choices}") from None
    metadata = info.metadata or {}
    if not metadata.get("classes"):
        raise UserError(f"model.weights={weights} is no model that a training registered")
    return Registered(name, version, weights, run_id, metadata, tags)


def pinned(config: DictConfig) -> DictConfig:
    """`config` with the version that the alias in `model.weights` stands for: aliases move on."""
    weights = str(OmegaConf.select(config, "model.weights"))
    if not names_a_model(weights):
        return config
    changed = config.copy()
    OmegaConf.set_readonly(changed, False)
    changed.model.weights = origin(weights).uri
    OmegaConf.set_readonly(changed, True)
    return changed


def fetch_sklearn(model: Registered) -> "Pipeline":
    """The pipeline of a registered model of tables; skops builds only the types it trusts."""
    return mlflow.sklearn.load_model(model.uri)


def fetch_table(run: Registered | FoldRun, artifact: str) -> pd.DataFrame:
    """A CSV that a run logged, or the run of a model: `data/splits.csv`, for example."""
    path = mlflow.artifacts.download_artifacts(run_id=run.run_id, artifact_path=artifact)
    return pd.read_csv(path, dtype={"file": str})


def fetch_config(model: Registered) -> DictConfig:
    """The resolved configuration of the run of `model`."""
    path = mlflow.artifacts.download_artifacts(run_id=model.run_id, artifact_path="config.yaml")
    loaded = OmegaConf.load(path)
    assert isinstance(loaded, DictConfig)
    return loaded


def finished_folds(config: DictConfig, data_digest: Callable[[], str]) -> dict[int, FoldRun]:
    """By fold, the finished runs with the settings of `config` on the data of `data_digest`.

    The digest is asked for only where there are runs with these settings. Raises `UserError` when
    a fold has two.
    """
    known = mlflow.get_experiment_by_name(experiment(config))
    runs = mlflow.MlflowClient().search_runs(
        [known.experiment_id] if known else [],
        f"attributes.status = 'FINISHED' and tags.settings_digest = '{settings_digest(config)}' "
        "and params.`split.fold` != 'None'",
    )
    found: dict[int, FoldRun] = {}
    for run in runs:
        if run.data.tags.get("data_digest") != data_digest():
            log.info("run %s of a fold saw other data than these", run.info.run_id)
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
    """The URI of the version of `name` with `alias`; "" where there is none."""
    try:
        version = mlflow.MlflowClient().get_model_version_by_alias(name, alias).version
    except MlflowException:
        return ""
    return f"models:/{name}/{version}"
