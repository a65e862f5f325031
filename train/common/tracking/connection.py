"""Connection to MLflow: checks before any work that the server answers and permits the run.

User and password are those of MLflow: `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, or
`MLFLOW_TRACKING_TOKEN`, or a part of the URL.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TypeGuard
from urllib.parse import urlsplit

import mlflow
from hydra.core.hydra_config import HydraConfig
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from conf.errors import UserError
from conf.schema import Config, ImageTraining, TableTraining
from datasets.common.fetching.locks import Lock

HEALTH_TIMEOUT = 5
"""The run stops if the tracking server does not answer in so many seconds."""
RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 401, 403, 404
WAY_OUT = "start the server, or name another one: MLFLOW_TRACKING_URI=sqlite:///mlflow.db"


def connect(settings: Config) -> None:
    """Point MLflow at `env.tracking_uri`. Raises `UserError` if it cannot be used."""
    uri = settings.env.tracking_uri
    if not uri:
        raise UserError(f"env.tracking_uri is empty: unset MLFLOW_TRACKING_URI, {WAY_OUT}")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for chatty in ("alembic", "mlflow.store.db.utils", "mlflow.tracking.fluent", "tf2onnx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if uri.startswith(("http://", "https://")):
        _check_health(uri)
    mlflow.set_tracking_uri(uri)
    # Impatient at the start only: in mid-run MLflow tries again for 4 minutes.
    with _one_at_a_time(settings), impatient():
        try:
            mlflow.set_experiment(experiment(settings))
        except Exception as error:  # the stores raise whatever their drivers raise
            check_refusal(status_of(error), uri, f"the experiment {experiment(settings)}")
            raise UserError(f"env.tracking_uri={uri} cannot be used: {error}; {WAY_OUT}") from error


def _one_at_a_time(settings: Config) -> AbstractContextManager[object]:
    """In this context no other process makes the tables of the same SQLite file: two would fail."""
    if not settings.env.tracking_uri.startswith("sqlite:"):
        return nullcontext()
    path = Path(settings.env.cache, "runs", "connect.lock")
    return Lock(path, "the start of MLflow's database", wait=True)


def check_registry(settings: ImageTraining | TableTraining, run_id: str) -> None:
    """Raise `UserError` if this user may not register the model of `settings`.

    The check sets the tag `newest_run` of the registered model. If the model does not exist yet,
    there is no check; its first version creates it.
    """
    name, client = f"{settings.model.name}-{settings.dataset.name}", mlflow.MlflowClient()
    try:
        client.get_registered_model(name)
        client.set_registered_model_tag(name, "newest_run", run_id)
    except MlflowException as error:
        check_refusal(status_of(error), settings.env.tracking_uri, f"the registered model {name}")
        if status_of(error) != NOT_FOUND:
            raise


def check_refusal(status: int, uri: str, what: str) -> None:
    """Raise `UserError` if `status` means that the server at `uri` does not permit `what`."""
    user = urlsplit(uri).username or get_default_host_creds(uri).username
    if status == UNAUTHORIZED:
        given = f"the user {user!r} with the password given" if user else "no user and password"
        raise UserError(
            f"env.tracking_uri={uri} answers 401, it does not take {given}: set the environment "
            "variables MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or "
            "MLFLOW_TRACKING_TOKEN) to those of your account"
        )
    if status == FORBIDDEN:
        raise UserError(
            f"env.tracking_uri={uri} answers 403, the user {user!r} may not use {what}: ask "
            "whoever runs the server for the permission EDIT, or give another user by "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )


@contextmanager
def impatient() -> Iterator[None]:
    """In this context MLflow does not retry, because the server may be down."""
    before = os.environ.get(RETRIES)
    os.environ[RETRIES] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[RETRIES]
        else:
            os.environ[RETRIES] = before


def experiment(settings: Config) -> str:
    """Name of the experiment that runs of `settings` belong to."""
    return subject(settings, "/", "/")


def runs_of(settings: Config, condition: str) -> list[Run]:
    """The runs of the experiment of `settings` that meet `condition`, a filter of MLflow."""
    known = mlflow.get_experiment_by_name(experiment(settings))
    return (
        list(mlflow.MlflowClient().search_runs([known.experiment_id], condition)) if known else []
    )


def subject(settings: Config, on: str, of: str) -> str:
    """Subject of a run: `<model><on><dataset>` of a training, `<task><of><name>` of a job."""
    if is_training(settings):
        return f"{settings.model.name}{on}{settings.dataset.name}"
    return chosen("pipeline").replace("_", of, 1)


def title(settings: Config) -> str:
    """The title of the reports on a run of `settings`."""
    swept = f", sweep {settings.sweep.name}" if sweeps(settings) and settings.sweep else ""
    return f"{subject(settings, ' on ', ' ')}, {settings.version}, {settings.env.name}{swept}"


def fold(settings: Config) -> str:
    """The fold, and the trial of a sweep, as a part of the run's name; empty without both."""
    if not isinstance(settings, ImageTraining):
        return ""
    if settings.sweep and settings.sweep.trial is None:
        return f"-sweep-{settings.sweep.name}"
    if settings.sweep:
        seed = f"-seed{settings.seed}" if settings.sweep.seeds else ""
        part = f"-fold{settings.split.fold}" if settings.split.folds else ""
        return f"-{settings.sweep.name}-trial{settings.sweep.trial}{seed}{part}"
    if not settings.split.folds:
        return ""
    return "-folds" if settings.split.fold is None else f"-fold{settings.split.fold}"


def registers(settings: Config) -> TypeGuard[ImageTraining | TableTraining]:
    """Whether a run of `settings` registers a model: a training, but no trial of a sweep.

    Of folds only an ensemble is registered.
    """
    if sweeps(settings):
        return False
    if isinstance(settings, ImageTraining) and settings.split.folds:
        return settings.split.fold is None and settings.publish.ensemble
    return is_training(settings)


def sweeps(settings: Config) -> TypeGuard[ImageTraining]:
    """Whether `settings` are those of a sweep or of one of its trials."""
    return isinstance(settings, ImageTraining) and settings.sweep is not None


def is_training(settings: Config) -> TypeGuard[ImageTraining | TableTraining]:
    """Whether `settings` are those of a training, not of a job."""
    return isinstance(settings, ImageTraining | TableTraining)


def chosen(group: str) -> str:
    """The option that the command line chose in a group of the configuration."""
    if not HydraConfig.initialized():
        return "none"
    return str(HydraConfig.get().runtime.choices.get(group, "none"))


def words() -> list[str]:
    """The overrides of the command line, without those of Hydra itself; empty without Hydra."""
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def _check_health(uri: str) -> None:
    """Ask the server once, with the credentials, certificates and proxies of MLflow."""
    try:
        answer = http_request(
            get_default_host_creds(uri.rstrip("/")),
            "/health",
            "GET",
            max_retries=0,
            timeout=HEALTH_TIMEOUT,
            raise_on_status=False,
        )
    except MlflowException as error:
        raise UserError(f"env.tracking_uri={uri} does not answer ({error}); {WAY_OUT}") from error
    check_refusal(answer.status_code, uri, "the server")  # or a proxy in front of it


def status_of(error: Exception) -> int:
    """The HTTP status of an error of MLflow; 500 for any other error."""
    return error.get_http_status_code() if isinstance(error, MlflowException) else 500
