"""A model whose files were changed, in MLflow or in BentoML's store, is refused by its name."""

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.importing.connection import NotServable
from deploy.importing.registry import FILES, find
from deploy.importing.store import import_model
from deploy.serving.http.files import digests
from deploy.serving.http.limits import Limits
from deploy.serving.http.servable import Facts
from deploy.serving.images.classifier import Classifier
from deploy.serving.tables.classifier import TableClassifier
from tests.common import ROOT
from tests.deploy import tables
from tests.deploy.common import MODEL, Trained
from tests.deploy.registry import looked_up_at
from tests.deploy.tables import TrainedTable
from tests.reliability.conftest import Starter
from tests.servers import free_port, running
from train.common.tracking import register

NAMES = {"trained": MODEL, "table": tables.MODEL}
SERVED = {"trained": ("model.onnx", Classifier), "table": ("model.skops", TableClassifier)}


@pytest.fixture(params=list(NAMES))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def logged(kind: str, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The folder of a logged model, whose registry is looked up; it is restored at the end."""
    import mlflow

    environment = request.getfixturevalue(kind).environment
    with looked_up_at(environment["MLFLOW_TRACKING_URI"]):
        folder = Path(mlflow.artifacts.download_artifacts(f"models:/{NAMES[kind]}/1"))
        kept = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        yield folder
        for path, content in kept.items():
            path.write_bytes(content)


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def test_training_records_every_file_of_a_model(kind: str, logged: Path) -> None:
    import mlflow

    assert register.FILES == FILES
    source = find(f"models:/{NAMES[kind]}/1", NAMES[kind])
    found = digests(logged)
    found.pop(register.NOTED, None)
    assert source.files == found
    assert {"MLmodel", SERVED[kind][0]} <= set(source.files)
    tags = mlflow.MlflowClient().get_logged_model(source.model_id).tags
    assert json.loads(tags[FILES]) == source.files


def test_a_file_that_was_changed_in_mlflow_is_not_imported(kind: str, logged: Path) -> None:
    source = find(f"models:/{NAMES[kind]}/1", NAMES[kind])
    for name in ("MLmodel", SERVED[kind][0]):
        kept = (logged / name).read_bytes()
        flip(logged / name)
        with pytest.raises(NotServable, match=f"{name} of the model of run .* was changed: its sh"):
            import_model(source, "never-imported")
        (logged / name).unlink()
        with pytest.raises(NotServable, match=f"{name} of the model of run .* is missing"):
            import_model(source, "never-imported")
        (logged / name).write_bytes(kept)


def test_a_file_that_was_changed_after_the_import_is_not_served(
    kind: str, logged: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name, servable = SERVED[kind]
    folder = tmp_path / "mlflow_model"
    shutil.copytree(logged, folder)
    source = find(f"models:/{NAMES[kind]}/1", NAMES[kind])
    facts = Facts(source.name, "1", source.run_id, source.classes, files=digests(folder))

    def opened() -> Any:
        model = servable(facts, folder, Limits())
        model.start().join()
        return model

    assert opened().ready
    flip(folder / name)
    with caplog.at_level(logging.CRITICAL):
        model = opened()
    assert model.failed
    assert not model.ready
    assert f"{name} of {source.name} version 1 (import it again) was changed" in caplog.text


@pytest.mark.slow
def test_a_service_of_a_changed_file_is_not_alive_and_another_import_repairs_it(
    start: Starter, table: TrainedTable, tmp_path: Path
) -> None:
    with start(table):
        pass  # it is imported
    store = Path(table.environment["BENTOML_HOME"], "models", tables.MODEL)
    [served] = store.glob("*/mlflow_model/model.skops")
    flip(served)
    port, log = free_port(), tmp_path / "serve.log"
    service = f"deploy.{tables.DEPLOYMENT.replace('/', '.')}.service"
    command = ["-m", "bentoml", "serve", service, "--working-dir", str(ROOT), "--port", str(port)]
    command += ["--host", "127.0.0.1"]
    with running(command, port, "/docs.json", table.environment, log) as server:
        for path in ("/livez", "/readyz"):
            assert requests.get(server.address + path).status_code >= 500
    assert "model.skops of treesurvival-treesurvival version 1" in log.read_text()
    with start(table) as repaired:
        assert requests.get(f"{repaired.address}/readyz").ok


def test_a_model_of_an_older_revision_has_no_record(trained: Trained, tmp_path: Path) -> None:
    from tests.common import log_smallest, new_store

    store = new_store(tmp_path)
    facts = {"classes": ["a", "b"]}
    run = log_smallest(store, tmp_path / "artifacts", metadata=facts)
    with looked_up_at(store):
        assert find(f"runs:/{run}/serving", "old").files == {}
