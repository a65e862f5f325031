"""The connection to MLflow, and the message of a command that cannot go on."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

TRACKING_URI = "sqlite:///mlflow.db"
"""Where development logs; the variable MLFLOW_TRACKING_URI names another place."""


class NotServable(Exception):  # noqa: N818 -- the word for it in messages
    """The requested model cannot be served; the message names the way out."""


def run_command(command: Callable[[], None]) -> None:
    """Call `command`; if it raises `NotServable`, print only its message and exit with 1.

    The credentials of MLFLOW_TRACKING_URI are not printed.
    """
    try:
        command()
    except NotServable as error:
        sys.exit(f"error: {_public(str(error))}")


def connect() -> Any:
    """An MLflow client of MLFLOW_TRACKING_URI, or of the database that `make train` writes."""
    uri = tracking_uri()
    path = uri.removeprefix("sqlite:///")
    if path != uri and not Path(path).is_file():
        raise NotServable(
            f"there is no {path} in {Path.cwd()}: train first (make train), or name another "
            "server: MLFLOW_TRACKING_URI=http://..."
        )
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # 7 would hang for minutes
    import mlflow

    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient()
    try:
        client.search_registered_models(max_results=1)
    except Exception as error:  # the stores raise whatever their drivers raise
        raise NotServable(unusable(error)) from None
    return client


def tracking_uri() -> str:
    """Where MLflow is: MLFLOW_TRACKING_URI, or the database that `make train` writes."""
    return os.environ.get("MLFLOW_TRACKING_URI") or TRACKING_URI


def unusable(error: Exception) -> str:
    """The message for a user whose request to MLflow failed."""
    status = error.get_http_status_code() if hasattr(error, "get_http_status_code") else None
    uri = tracking_uri()
    if status == 401:
        return (
            f"MLFLOW_TRACKING_URI={uri} answers 401, it does not take user and password: set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or MLFLOW_TRACKING_TOKEN) to "
            "those of your account"
        )
    if status == 403:
        return (
            f"MLFLOW_TRACKING_URI={uri} answers 403, the user may not do this ({error}): ask "
            "whoever runs the server for the permission, or give another user by "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    return f"MLFLOW_TRACKING_URI={uri} cannot be used: {error}"


def _public(message: str) -> str:
    """`message` without the credentials of MLFLOW_TRACKING_URI, as they stand there or decoded."""
    user, at, _ = urlsplit(tracking_uri()).netloc.rpartition("@")
    password = user.partition(":")[2] or user
    query = [value for _, value in parse_qsl(urlsplit(tracking_uri()).query)]
    for secret in (f"{user}@" if at else "", password, unquote(password), *query):
        message = message.replace(secret, "***") if secret else message
    return message
