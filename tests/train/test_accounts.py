"""A tracking server with accounts: MLflow's own basic auth, from training to the service."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.common import ROOT
from tests.servers import free_port, running
from tests.train.conftest import finish, mlflow_server, start

pytestmark = pytest.mark.slow

ADMIN_PASSWORD = "sufficiently-long-1"  # pragma: allowlist secret
PASSWORD = "another-long-one-2"  # pragma: allowlist secret
QUICK = [
    "+pipeline=train_treesurvival",
    "env=development",
    "model.estimator=logistic_regression",
    "fit.candidates=1",
    "fit.folds=2",
    "fit.workers=1",
    "metrics.bootstrap=50",
    "metrics.folds=0",
]
MODEL = "treesurvival-treesurvival"
DEPLOYMENT = "treesurvival/V1"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the users alice and bob, who may read what alice makes."""
    with mlflow_server(tmp_path_factory.mktemp("accounts"), ADMIN_PASSWORD) as address:
        for name in ("alice", "bob"):
            made = requests.post(
                f"{address}/api/2.0/mlflow/users/create",
                json={"username": name, "password": PASSWORD},
                auth=("admin", ADMIN_PASSWORD),
            )
            assert made.status_code == 200, made.text
        yield address


def account(user: str, password: str = PASSWORD) -> dict[str, str]:
    return {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}


@pytest.fixture(scope="module")
def trained(guarded: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The output of a training by alice."""
    folder = tmp_path_factory.mktemp("alice")
    status, output = finish(start(guarded, folder, *QUICK, **account("alice")))
    assert status == 0, output
    return output


def script(
    address: str, folder: Path, *command: str, user: str = "alice", password: str = PASSWORD
) -> subprocess.CompletedProcess[str]:
    """The finished `python deploy/...` with an account, and a store of BentoML in `folder`."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment(address, folder, user, password),
        capture_output=True,
        text=True,
    )


def environment(address: str, folder: Path, user: str, password: str) -> dict[str, str]:
    return {
        **os.environ,
        "MLFLOW_TRACKING_URI": address,
        "BENTOML_HOME": str(folder),
        "BENTOML_DO_NOT_TRACK": "true",
        **account(user, password),
    }


def test_a_training_logs_and_registers_with_user_and_password(guarded: str, trained: str) -> None:
    assert f"registered {MODEL} version" in trained
    found = requests.get(
        f"{guarded}/api/2.0/mlflow/registered-models/get",
        params={"name": MODEL},
        auth=("alice", PASSWORD),
    ).json()["registered_model"]
    [version] = found["latest_versions"]
    assert f"MLflow run {version['run_id']} of experiment" in trained


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "does not take no user and password"),
        (account("alice", "mistyped-password"), "does not take the user 'alice'"),
    ],
)
def test_wrong_credentials_are_named_before_any_work(
    guarded: str, tmp_path: Path, given: dict[str, str], said: str
) -> None:
    status, output = finish(start(guarded, tmp_path, *QUICK, **given))
    assert status == 1
    assert f"env.tracking_uri={guarded} answers 401" in output
    assert said in output
    assert "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in output
    assert "Traceback" not in output
    assert "mistyped-password" not in output
    assert not (tmp_path / "cache").exists()


def test_a_user_who_may_not_write_the_experiment_learns_it_before_any_work(
    guarded: str, trained: str, tmp_path: Path
) -> None:
    status, output = finish(start(guarded, tmp_path, *QUICK, **account("bob")))
    assert status == 1
    assert f"env.tracking_uri={guarded} answers 403, the user 'bob' may not use" in output
    assert "experiment treesurvival/treesurvival" in output
    assert "permission EDIT" in output
    assert "Traceback" not in output
    assert not (tmp_path / "cache").exists()


def test_a_user_who_may_not_register_learns_it_before_any_work(
    guarded: str, trained: str, tmp_path: Path
) -> None:
    admin = ("admin", ADMIN_PASSWORD)
    found = requests.get(
        f"{guarded}/api/2.0/mlflow/experiments/get-by-name",
        params={"experiment_name": "treesurvival/treesurvival"},
        auth=admin,
    ).json()
    experiment = {
        "resource_type": "experiment",
        "resource_id": found["experiment"]["experiment_id"],
        "username": "bob",
    }
    place = f"{guarded}/api/3.0/mlflow/users/permissions"
    assert requests.post(f"{place}/grant", json=experiment | {"permission": "EDIT"}, auth=admin).ok
    try:
        status, output = finish(start(guarded, tmp_path, *QUICK, **account("bob")))
    finally:
        assert requests.post(f"{place}/revoke", json=experiment, auth=admin).ok
    assert status == 1
    assert f"answers 403, the user 'bob' may not use the registered model {MODEL}" in output
    assert "Traceback" not in output
    assert not (tmp_path / "cache").exists()


def test_promoting_importing_and_serving_take_user_and_password(
    guarded: str, trained: str, tmp_path: Path
) -> None:
    promote = ["deploy/promote.py", "--model", MODEL, "--version", "1", "--force-because", "a test"]
    done = script(guarded, tmp_path, *promote)
    assert done.returncode == 0, done.stderr
    imported = script(guarded, tmp_path, f"deploy/{DEPLOYMENT}/create_bento_model.py")
    assert imported.returncode == 0, imported.stderr
    assert f"{MODEL} version 1" in imported.stdout
    port = free_port()
    command = ["deploy/serve.py", "--deployment", DEPLOYMENT, "--port", str(port)]
    given = environment(guarded, tmp_path, "alice", PASSWORD)
    with running(command, port, "/readyz", given, tmp_path / "log") as server:
        answer = requests.get(f"{server.address}/model")
    assert answer.ok
    assert PASSWORD not in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    "command",
    [
        ["deploy/promote.py", "--model", MODEL, "--version", "1"],
        [f"deploy/{DEPLOYMENT}/create_bento_model.py"],
        ["deploy/serve.py", "--deployment", DEPLOYMENT],
    ],
    ids=["promote", "import", "serve"],
)
def test_deployments_name_wrong_credentials(
    guarded: str, trained: str, tmp_path: Path, command: list[str]
) -> None:
    port = ["--port", str(free_port())] if "deploy/serve.py" in command else []
    done = script(guarded, tmp_path, *command, *port, password="mistyped-password")
    assert done.returncode == 1
    assert f"MLFLOW_TRACKING_URI={guarded} answers 401" in done.stderr
    assert "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in done.stderr
    assert "Traceback" not in done.stderr


def test_who_may_not_promote_is_told_so(guarded: str, trained: str, tmp_path: Path) -> None:
    promote = ["deploy/promote.py", "--model", MODEL, "--version", "1", "--force-because", "a test"]
    client_of_alice = re.search(rf"registered {MODEL} version (\d+)", trained)
    assert client_of_alice
    promote[4] = client_of_alice[1]
    requests.delete(
        f"{guarded}/api/2.0/mlflow/registered-models/alias",
        json={"name": MODEL, "alias": "champion"},
        auth=("admin", ADMIN_PASSWORD),
    )
    done = script(guarded, tmp_path, *promote, user="bob")
    assert done.returncode == 1
    assert f"MLFLOW_TRACKING_URI={guarded} answers 403" in done.stderr
    assert "Traceback" not in done.stderr
