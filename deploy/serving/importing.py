"""From MLflow's registry to BentoML's store: which model is meant, and how it gets there.

The only module here that needs MLflow; it runs beside a checkout, never in a container.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from datasets.common.images import READER

from .loading import window_of

if TYPE_CHECKING:
    import bentoml

TRACKING_URI = "sqlite:///mlflow.db"
"""Where development logs; the variable MLFLOW_TRACKING_URI names another place."""
FILES = ("model.onnx", "model.skops")
"""What is served; beside it only MLflow's description of the model, MLmodel, is copied."""


class NotServable(Exception):  # noqa: N818 -- the word for it in messages
    """What was asked for cannot be served; the message names the way out."""


@dataclass(frozen=True)
class Source:
    """A model in MLflow: the URI it was found by and what is known of it, all plain text."""

    uri: str
    name: str
    version: str
    model_id: str
    run_id: str
    classes: tuple[str, ...]
    window: tuple[float, ...] | None
    """DICOM window centre and width of the training, empty for each file's own; None: not known."""
    labels: dict[str, str]
    """Where it comes from: run id, git revision, data digest, pipeline."""


def run_command(command: Callable[[], None]) -> None:
    """Call `command`; where it raises `NotServable`, print only the message and exit with 1.

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
    """What to tell a user whose request MLflow did not fulfil."""
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


def champion(name: str) -> Source:
    """The version of `name` with the alias `champion`; `NotServable` where there is none."""
    if (version := _alias(name, "champion")) is None:
        raise NotServable(
            f"{name} has no champion: choose one (make promote MODEL={name} VERSION=...; there "
            f"is {_versions(name)}), or name a model: --model-uri models:/{name}@challenger or "
            "--model-uri runs:/<run id>/serving"
        )
    return find(f"models:/{name}/{version}", name)


def champion_or_newest(name: str) -> tuple[Source, str]:
    """The champion of `name`, else its newest challenger, and a word on which of them it is."""
    if _alias(name, "champion") is not None:
        return champion(name), "champion"
    if (version := _alias(name, "challenger")) is None:
        raise NotServable(
            f"{name} has neither champion nor challenger (there is {_versions(name)}): "
            "train one (make train)"
        )
    return find(f"models:/{name}/{version}", name), "challenger, as there is no champion"


def find(uri: str, name: str) -> Source:
    """The model of `uri`, `runs:/<run id>/serving`, `models:/<name>/<version>` or `...@<alias>`.

    `name` is what a model of a run is called. Raises `NotServable`.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.models import get_model_info

    if not uri.startswith(("runs:/", "models:/")):
        raise NotServable(f"--model-uri {uri}: expected runs:/... or models:/...")
    client = connect()
    registered, version = name, "unregistered"
    try:
        if uri.startswith("models:/"):
            found = _registered(client, uri)
            registered, version = found.name, str(found.version)
        info = get_model_info(uri)
        tags = client.get_run(info.run_id).data.tags
    except (MlflowException, OSError) as error:
        if isinstance(error, MlflowException) and error.get_http_status_code() == 403:
            raise NotServable(unusable(error)) from None
        raise NotServable(f"{uri} cannot be found: {error}") from None
    metadata = info.metadata or {}
    if not _without_pickle(info.flavors) or not metadata.get("classes"):
        raise NotServable(
            f"{uri} is not a serving model: expected MLflow's ONNX flavour, or scikit-learn's "
            "stored as skops, with the class names in its metadata, as every training logs it "
            "under the name 'serving'"
        )
    labels = {
        "run_id": info.run_id,
        "git_revision": tags.get("git_revision", "unknown"),
        "data_digest": str(metadata.get("data_digest", "unknown")),
        "pipeline": tags.get("pipeline", "unknown"),
    }
    if "image_size" in metadata and metadata.get("reader") != READER:
        raise NotServable(
            f"{uri} was trained on other pixels than this service reads from the same files: train "
            f"it again, or deploy it from the revision of its run, {labels['git_revision']}"
        )
    return Source(
        uri=uri,
        name=registered,
        version=version,
        model_id=info.model_id or info.model_uuid,
        run_id=info.run_id,
        classes=tuple(metadata["classes"]),
        window=window_of(metadata),
        labels=labels,
    )


def import_model(source: Source, tag: str) -> "bentoml.Model":
    """Copy `source` into BentoML's store under the name `tag`, unless it is the latest there.

    Only its description and the file that is served are copied.
    """
    import bentoml
    from bentoml.exceptions import NotFound
    from mlflow.artifacts import download_artifacts

    labels = {key: _label(value) for key, value in source.labels.items()}
    metadata = {
        "model_id": source.model_id,
        "name": source.name,
        "version": source.version,
        "run_id": source.run_id,
        "classes": list(source.classes),
    } | ({} if source.window is None else {"dicom_window": list(source.window)})
    try:
        latest = bentoml.models.get(f"{tag}:latest")
        if latest.info.metadata == metadata and _stored(latest) <= {"MLmodel", *FILES}:
            return latest
    except NotFound:
        pass
    with tempfile.TemporaryDirectory() as folder:
        stripped = _stripped(Path(download_artifacts(source.uri, dst_path=folder)))
        imported = bentoml.mlflow.import_model(tag, stripped, labels=labels, metadata=metadata)
    return bentoml.models.get(imported.tag)  # the path of what was just created is temporary


def _stripped(folder: Path) -> str:
    """What a service needs of the model in `folder`, and nothing of what others put beside it.

    Above all no input example: older models carry an image of a patient. Returns a new folder.
    """
    import onnx
    from mlflow.models import Model

    described = Model.load(str(folder))
    described.saved_input_example_info = None
    kept = next((file for file in FILES if (folder / file).is_file()), None)
    if kept is None:
        raise NotServable(f"the model holds neither {' nor '.join(FILES)}: train it again")
    target = Path(tempfile.mkdtemp(dir=folder), "model")
    target.mkdir()
    if kept == "model.onnx":  # older models have their weights in files beside it
        onnx.save_model(onnx.load(folder / kept), target / kept)
    else:
        shutil.move(folder / kept, target / kept)
    described.save(str(target / "MLmodel"))
    return str(target)


def create(name: str, tag: str) -> None:
    """The command line of every create_bento_model.py: import, and print the tag."""
    parser = argparse.ArgumentParser(description=f"Import {name} from MLflow into BentoML's store.")
    parser.add_argument(
        "--model-uri",
        help=f"runs:/<run id>/serving or models:/<name>/<version> (models:/{name}@champion)",
    )
    chosen = parser.parse_args().model_uri

    def command() -> None:
        source = find(chosen, name) if chosen else champion(name)
        model = import_model(source, tag)
        print(f"{model.tag}: {source.name} version {source.version}, run {source.run_id}")

    run_command(command)


def _without_pickle(flavors: dict[str, Any]) -> bool:
    """Whether a model is stored in a form that runs no foreign code when it is loaded."""
    return "onnx" in flavors or flavors.get("sklearn", {}).get("serialization_format") == "skops"


def _registered(client: Any, uri: str) -> Any:
    name, at, alias = uri.removeprefix("models:/").partition("@")
    if at:
        return client.get_model_version_by_alias(name, alias)
    name, _, version = name.partition("/")
    if not version.isdecimal():
        raise NotServable(f"--model-uri {uri}: expected models:/<name>/<version> or @<alias>")
    return client.get_model_version(name, version)


def _alias(name: str, alias: str) -> str | None:
    from mlflow.exceptions import MlflowException

    client = connect()
    try:
        return str(client.get_model_version_by_alias(name, alias).version)
    except MlflowException as error:
        if error.get_http_status_code() in (400, 404):  # no such alias, no such model
            return None
        raise NotServable(unusable(error)) from None


def _versions(name: str) -> str:
    found = sorted(int(v.version) for v in connect().search_model_versions(f"name='{name}'"))
    return f"version {', '.join(map(str, found))}" if found else "no version of it"


def _stored(model: "bentoml.Model") -> set[str]:
    """Files of a model in BentoML's store."""
    folder = Path(model.path_of("mlflow_model"))
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def _public(message: str) -> str:
    """`message` without the credentials of MLFLOW_TRACKING_URI, as they stand there or decoded."""
    user, at, _ = urlsplit(tracking_uri()).netloc.rpartition("@")
    password = user.partition(":")[2] or user
    query = [value for _, value in parse_qsl(urlsplit(tracking_uri()).query)]
    for secret in (f"{user}@" if at else "", password, unquote(password), *query):
        message = message.replace(secret, "***") if secret else message
    return message


def _label(value: str) -> str:
    """A value that BentoML takes for a label: up to 63 letters, digits, `-`, `_` and `.`."""
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in value)
    return kept[:63].strip("-_.")
