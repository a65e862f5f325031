"""Copy a model from MLflow into BentoML's store: its description and the file that is served."""

import argparse
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..serving.http.files import FileChangedError, check_files, digests
from .connection import NotServable, run_command
from .registry import CARDS, Source, champion, find

if TYPE_CHECKING:
    import bentoml

FILES = ("model.onnx", "model.skops")
"""The file that is served has one of these names; MLmodel, its description, is copied too."""


def create(name: str, tag: str) -> None:
    """The command line of every create_bento_model.py: import, and print the tag.

    And below it, for `ecr.sh`, the labels of the image, one `sonda.<name>=<value>` a line.
    """
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
        facts = {"model": source.name, "version": source.version, **source.labels}
        for key, value in (facts | {"promotion": source.promotion["how"]}).items():
            print(f"sonda.{key}={value}")

    run_command(command)


def import_model(source: Source, tag: str) -> "bentoml.Model":
    """Copy `source` into BentoML's store under the name `tag`, unless it is the latest there.

    Only its description and the file that is served are copied, and their sha256 is noted: the
    service checks it when it starts. Raises `NotServable` for a file that was changed since the
    training recorded it.
    """
    import bentoml
    from bentoml.exceptions import NotFound
    from mlflow.artifacts import download_artifacts

    facts = source.labels | {"version": source.version, "promotion": source.promotion["how"]}
    labels = {key: _label(value) for key, value in facts.items()}
    metadata: dict[str, Any] = {
        "model_id": source.model_id,
        "name": source.name,
        "version": source.version,
        "run_id": source.run_id,
        "classes": list(source.classes),
        "identity": source.labels,
        "promotion": source.promotion,
        "cards": source.cards,
    } | ({} if source.window is None else {"dicom_window": list(source.window)})
    if source.abstention:
        metadata["abstention"] = source.abstention
    if source.drift:
        metadata["drift"] = source.drift
    try:
        latest = bentoml.models.get(f"{tag}:latest")
        if _as_imported(latest, metadata):
            return latest
    except NotFound:
        pass
    with tempfile.TemporaryDirectory() as folder:
        downloaded = Path(download_artifacts(source.uri, dst_path=folder))
        check_source(downloaded, source)
        stripped = _stripped(downloaded, joined=not source.files)
        _add_cards(source, Path(stripped))
        metadata["files"] = digests(Path(stripped))
        imported = bentoml.mlflow.import_model(tag, stripped, labels=labels, metadata=metadata)
    return bentoml.models.get(imported.tag)  # the path of what was just created is temporary


def check_source(folder: Path, source: Source) -> None:
    """Raise `NotServable` if a file of the model in `folder` is not as the training recorded it."""
    try:
        check_files(folder, source.files, f"the model of run {source.run_id}")
    except FileChangedError as changed:
        raise NotServable(f"{changed}: restore the file, or train again") from None


def _as_imported(model: "bentoml.Model", metadata: dict[str, Any]) -> bool:
    """Whether `model` in the store has these facts, and its files are as they were imported."""
    known = dict(model.info.metadata)
    files = known.pop("files", {})
    folder = Path(model.path_of("mlflow_model"))
    return (
        known == metadata and set(files) <= {"MLmodel", *FILES, *CARDS} and digests(folder) == files
    )


def _stripped(folder: Path, joined: bool) -> str:
    """A new folder with the parts of the model in `folder` that a service needs.

    With `joined`, weights in files beside the graph, as older models have them, become part of it.
    Its input example is left out, above all: in older models that is an image of a patient.
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
    if kept == "model.onnx" and joined:
        onnx.save_model(onnx.load(folder / kept), target / kept)
    else:
        shutil.move(folder / kept, target / kept)
    described.save(str(target / "MLmodel"))
    return str(target)


def _add_cards(source: Source, folder: Path) -> None:
    """Copy the model card to `folder`. Raises `NotServable` if it was changed since the run."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    for name, digest in source.cards.items():
        try:
            found = download_artifacts(
                run_id=source.run_id, artifact_path=name, dst_path=str(folder)
            )
        except (MlflowException, OSError) as error:
            raise NotServable(
                f"{name}, the model card of run {source.run_id}, cannot be read ({error}): restore "
                "it, or train again"
            ) from None
        if sha256(Path(found).read_bytes()).hexdigest() != digest:
            raise NotServable(
                f"{name}, the model card of run {source.run_id}, was changed after the run logged "
                "it (its sha256 is another): restore the file, or train again"
            )


def _label(value: str) -> str:
    """A value that BentoML takes for a label: up to 63 letters, digits, `-`, `_` and `.`."""
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in value)
    return kept[:63].strip("-_.")
