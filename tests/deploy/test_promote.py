"""Who may become champion: what `env.promotion` allowed, or what somebody answers for."""

import getpass
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from datasets.common.images import READER
from deploy import promote as script
from deploy.importing.connection import NotServable
from tests.common import ROOT, log_smallest, new_store

MODEL = "resnet50v2ft-kvasir4"
RUNS = {
    "1": {"env": "production", "promotion": "allowed", "gate": "passed"},
    "2": {"env": "development", "promotion": "refused"},
    "3": {"env": "development", "promotion": "allowed"},
    "4": {"env": "production", "promotion": "refused"},
    "5": {"env": "production"},
    "6": {},
    "7": {"env": "production", "promotion": "allowed", "gate": "failed"},
    "8": {"env": "production", "promotion": "allowed", "gate": "off"},
}
"""Tags of the run of each version."""


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    import mlflow

    folder = tmp_path_factory.mktemp("registry")
    address = new_store(folder)
    client = mlflow.MlflowClient(address)
    client.create_registered_model(MODEL)
    facts = {"classes": ["a", "b"], "image_size": 32, "reader": READER}
    for version, tags in RUNS.items():
        run = log_smallest(address, folder / version, metadata=facts)
        for key, value in tags.items():
            client.set_tag(run, key, value)
        [logged] = client.search_logged_models([client.get_run(run).info.experiment_id])
        with looked_up_at(address):
            client.create_model_version(MODEL, logged.model_uri, run, model_id=logged.model_id)
    return address


@contextmanager
def looked_up_at(address: str) -> Iterator[None]:
    """MLflow looks the model of a new version up where the process tracks, whatever client asks."""
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(address)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


def promote(uri: str, version: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The finished `make promote`; it leaves the environment as it is."""
    command = ["make", "-o", ".venv/.locked", "promote", f"MODEL={MODEL}", f"VERSION={version}"]
    return subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env=os.environ | {"MLFLOW_TRACKING_URI": uri},
        capture_output=True,
        text=True,
    )


def champion(uri: str) -> tuple[str, dict[str, str]]:
    """The champion's version and tags; ("", {}) without one."""
    import mlflow

    client = mlflow.MlflowClient(uri)
    found = client.get_registered_model(MODEL).aliases.get("champion")
    return (str(found), client.get_model_version(MODEL, found).tags) if found else ("", {})


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("2", "is one of env=development"),
        ("3", "is one of env=development"),
        ("4", "whose env.promotion was false"),
        ("5", "has no tag 'promotion'"),
        ("6", "has no tag 'promotion'"),
        ("7", "whose leak gate failed: the table gate of its report"),
        ("8", "whose leak gate was off"),
    ],
)
def test_a_version_that_may_not_be_served_is_refused_with_the_way_out(
    uri: str, version: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    before = champion(uri)
    with looked_up_at(uri), pytest.raises(NotServable, match=reason) as refused:
        script.promote(MODEL, version)
    assert f'make promote MODEL={MODEL} VERSION={version} FORCE="reason"' in str(refused.value)
    assert champion(uri) == before


def test_make_promote_ends_with_the_reason_of_a_refusal(uri: str) -> None:
    before = champion(uri)
    done = promote(uri, "2")
    assert done.returncode != 0
    assert "is one of env=development" in done.stderr
    assert "Traceback" not in done.stderr
    assert champion(uri) == before


@pytest.mark.parametrize("empty", ["FORCE=", "FORCE=  "])
def test_force_without_a_reason_is_refused(uri: str, empty: str) -> None:
    before = champion(uri)
    done = promote(uri, "2", empty)
    assert done.returncode != 0
    assert "the reason is empty" in done.stderr
    assert champion(uri) == before


def test_who_promoted_when_and_why_stays_with_the_version(uri: str) -> None:
    done = promote(uri, "1")
    assert done.returncode == 0, done.stderr
    version, tags = champion(uri)
    assert version == "1"
    assert tags["promoted_by"] == f"{getpass.getuser()}@{socket.gethostname()}"
    assert tags["promoted_because"] == "env.promotion of its run allows it"

    done = promote(uri, "2", """FORCE=shown in class, "as it is", of $$USER's own""")
    assert done.returncode == 0, done.stderr
    assert "it replaces version 1" in done.stdout
    version, tags = champion(uri)
    assert version == "2"
    assert tags["promoted_because"] == """forced: shown in class, "as it is", of $USER's own"""
    told = datetime.fromisoformat(tags["promoted_at"])
    assert abs((datetime.now(UTC) - told).total_seconds()) < 600


def test_a_reason_does_not_make_an_unfinished_run_finished(uri: str, tmp_path: Path) -> None:
    import mlflow

    client = mlflow.MlflowClient(uri)
    unfinished = client.create_run(client.create_experiment(tmp_path.name))
    source = client.get_model_version(MODEL, "1").source
    with looked_up_at(uri):
        made = client.create_model_version(MODEL, source, unfinished.info.run_id)
    done = promote(uri, str(made.version), "FORCE=in a hurry")
    assert done.returncode != 0
    assert "which is RUNNING" in done.stderr
