"""The registered model that a training starts from: `model.weights=models:/<name>/<version>`."""

import re
from dataclasses import replace

import mlflow
from mlflow.exceptions import MlflowException

from conf.errors import UserError
from conf.schema import ImageTraining
from train.common.tracking.connection import connect
from train.common.tracking.load import Registered, keras_uri

WEIGHTS = re.compile(
    r"models:/(?P<name>[^/@]+)(/(?P<version>\d+)|@(?P<alias>[^/@]+))|runs:/(?P<run>\w+)(/.*)?"
)
"""The forms of `model.weights` that name the model of a version or of a run."""


def names_a_model(weights: str) -> bool:
    """Whether `model.weights` names a model in MLflow."""
    return weights.startswith(("models:/", "runs:/"))


def origin(weights: str) -> Registered:
    """The model that `model.weights` names by version, alias or run.

    A version of the registry is the model to serve; training starts from the Keras model of the
    same run. Raises `UserError` if there is none.
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
        info = mlflow.models.get_model_info(keras_uri(run_id, weights))
        tags = client.get_run(run_id).data.tags
    except (MlflowException, OSError) as error:
        raise UserError(f"model.weights={weights} cannot be found ({error}); {choices}") from None
    metadata = info.metadata or {}
    if not metadata.get("classes"):
        raise UserError(f"model.weights={weights} is no model that a training registered")
    return Registered(name, version, weights, run_id, metadata, tags)


def pinned(settings: ImageTraining) -> ImageTraining:
    """`settings` with a version instead of an alias in `model.weights`, because aliases move."""
    if not names_a_model(settings.model.weights):
        return settings
    connect(settings)
    uri = origin(settings.model.weights).uri
    return replace(settings, model=replace(settings.model, weights=uri))
