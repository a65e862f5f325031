"""Models in MLflow's registry: which one is meant, whether it can be served, and its facts."""

import json
from dataclasses import dataclass
from typing import Any

from datasets.common.images import READER

from ..serving.http.servable import window_of
from .connection import NotServable, connect, unusable
from .promotion import promotion_of

CARDS = {"card.md": "card_sha256", "card.html": "card_html_sha256"}
"""The files of a model card, artifacts of the run, and the tags of the run with their sha256."""

FILES = "files_sha256"
"""Tag of a logged model with the sha256 of its files, as JSON; training sets it."""


@dataclass(frozen=True)
class Source:
    """A model in MLflow: the URI that was asked for, and facts about the model as plain text."""

    uri: str
    name: str
    version: str
    model_id: str
    run_id: str
    classes: tuple[str, ...]
    window: tuple[float, ...] | None
    """DICOM window centre and width of the training, empty for each file's own; None: not known."""
    abstention: dict[str, Any] | None
    """Thresholds for abstention that the training chose; None: the model never abstains."""
    drift: dict[str, Any] | None
    """Its profile on validation images; None: its drift is not measured."""
    labels: dict[str, str]
    """Where it comes from: run id, git revision, data digest, lock hash, pipeline."""
    promotion: dict[str, Any]
    """How it became champion, by `promotion_of`."""
    cards: dict[str, str]
    """Sha256 of each file of the model card; empty for a model of an older revision."""
    files: dict[str, str]
    """Sha256 of each file of the model; empty for a model of an older revision."""


def champion(name: str) -> Source:
    """The version of `name` with the alias `champion`. Raises `NotServable` if there is none."""
    if (version := _alias(name, "champion")) is None:
        raise NotServable(
            f"{name} has no champion: choose one (make promote MODEL={name} VERSION=...; there "
            f"is {_versions(name)}), or name a model: --model-uri models:/{name}@challenger or "
            "--model-uri runs:/<run id>/serving"
        )
    return find(f"models:/{name}/{version}", name)


def champion_or_newest(name: str) -> tuple[Source, str]:
    """The champion of `name`, or else its newest challenger; and which of the two it is."""
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

    `name` is the registered name to give to a model of a run. Raises `NotServable`.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.models import get_model_info

    if not uri.startswith(("runs:/", "models:/")):
        raise NotServable(f"--model-uri {uri}: expected runs:/... or models:/...")
    client = connect()
    registered, version = name, "unregistered"
    promoted: dict[str, str] = {}
    try:
        if uri.startswith("models:/"):
            found = _registered(client, uri)
            registered, version, promoted = found.name, str(found.version), found.tags
        info = get_model_info(uri)
        tags = client.get_run(info.run_id).data.tags
        recorded = client.get_logged_model(info.model_id).tags if info.model_id else {}
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
        "lock_sha256": tags.get("lock_sha256", "unknown"),
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
        abstention=metadata.get("abstention"),
        drift=metadata.get("drift"),
        labels=labels,
        promotion=promotion_of(promoted),
        cards={file: tags[tag] for file, tag in CARDS.items() if tag in tags},
        files=json.loads(recorded.get(FILES, "{}")),
    )


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
