"""Raw data goes to a DVC remote and comes back: a folder, and S3 as moto simulates it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from tests.common import clone
from tests.servers import moto

KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",  # pragma: allowlist secret
}
NOBODY = "http://127.0.0.1:9"
"""The discard port, where nobody listens."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with raw data that DVC tracks."""
    root = clone(tmp_path_factory.mktemp("remote") / "project")
    raw = root / "datasets" / "frames" / "raw"
    raw.mkdir(parents=True)
    for number in range(3):
        (raw / f"{number}.jpg").write_bytes(bytes([number]) * 100)
    dvc(root, "add", "--quiet", str(raw))
    return root


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 of our own with the bucket `data`."""
    with moto(tmp_path_factory.mktemp("aws")) as address:
        client = boto3.client(
            "s3",
            "us-east-1",
            endpoint_url=address,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",  # pragma: allowlist secret
        )
        client.create_bucket(Bucket="data")
        yield address


def call(
    root: Path, *command: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    quiet = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(root.parent), "AWS_MAX_ATTEMPTS": "1"}
    return subprocess.run(
        command,
        cwd=root,
        env=kept | quiet | (environment or {}),
        capture_output=True,
        text=True,
    )


def dvc(root: Path, *arguments: str) -> None:
    done = call(root, sys.executable, "-m", "dvc", *arguments)
    assert done.returncode == 0, done.stderr


def make(
    root: Path, target: str, remote: str = "", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    # The environment is that of the tests, whatever the times of its files say.
    command = ["make", "--old-file", ".venv/.locked", target, f"REMOTE={remote}"]
    return call(root, *command, environment=environment)


def lost(root: Path) -> Path:
    """The folder of raw data, gone from the working tree and from the cache."""
    raw = root / "datasets" / "frames" / "raw"
    for folder in (raw, root / ".dvc" / "cache"):
        shutil.rmtree(folder, ignore_errors=True)
    return raw


def remote(root: Path, name: str, url: str, **settings: str) -> str:
    """A remote of this machine alone, as `dvc remote add --local` and `modify --local` write it."""
    lines = [
        f"['remote \"{name}\"']",
        *(f"{k} = {v}" for k, v in ({"url": url} | settings).items()),
    ]
    (root / ".dvc" / "config.local").write_text("\n".join(lines) + "\n")
    return name


def test_git_never_sees_raw_data(project: Path) -> None:
    seen = call(project, "git", "status", "--porcelain", "--untracked-files=all").stdout
    assert "raw.dvc" in seen and ".jpg" not in seen
    assert call(project, "git", "check-ignore", "data/any.csv").returncode == 0


def test_data_comes_back_from_a_folder(project: Path) -> None:
    pushed = make(project, "data-push")
    assert pushed.returncode == 0, pushed.stderr
    raw = lost(project)
    pulled = make(project, "data-pull")
    assert pulled.returncode == 0, pulled.stderr
    assert [path.read_bytes()[0] for path in sorted(raw.iterdir())] == [0, 1, 2]


@pytest.mark.slow
def test_data_comes_back_from_s3(project: Path, s3: str) -> None:
    name = remote(project, "s3", "s3://data/frames", endpointurl=s3)
    pushed = make(project, "data-push", name, KEYS)
    assert pushed.returncode == 0, pushed.stderr
    raw = lost(project)
    pulled = make(project, "data-pull", name, KEYS)
    assert pulled.returncode == 0, pulled.stderr
    assert len(list(raw.iterdir())) == 3
    assert s3 not in call(project, "git", "diff").stdout, "the machine's own remote stays local"


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """Its message; there must be one, and no traceback."""
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_remote_that_is_not_configured_is_named(project: Path) -> None:
    message = refused(make(project, "data-push", "nowhere"))
    assert "there is no remote 'nowhere'; choices: local" in message
    assert "dvc remote add --local" in message


def test_missing_credentials_are_said(project: Path, s3: str) -> None:
    name = remote(project, "s3", "s3://data/frames", endpointurl=s3)
    message = refused(make(project, "data-push", name))
    assert "Unable to locate credentials" in message
    assert "push: remote 's3' (s3://data/frames) failed, see above" in message
    assert "AWS_ACCESS_KEY_ID" in message


def test_a_remote_that_does_not_answer_is_named(project: Path) -> None:
    name = remote(project, "down", "s3://data/frames", endpointurl=NOBODY)
    message = refused(make(project, "data-push", name, KEYS))
    assert f'Could not connect to the endpoint URL: "{NOBODY}' in message
    assert "is the address right" in message


def test_a_missing_key_of_a_service_account_is_named(project: Path) -> None:
    account = {
        "gdrive_use_service_account": "true",
        "gdrive_service_account_json_file_path": "/nowhere/key.json",
    }
    name = remote(project, "gdrive", "gdrive://folder/frames", **account)
    message = refused(make(project, "data-push", name))
    assert "No such file or directory: '/nowhere/key.json'" in message
    assert "gdrive_service_account_json_file_path <file>" in message


def test_data_that_was_never_pushed_is_missed(project: Path, tmp_path: Path) -> None:
    name = remote(project, "empty", str(tmp_path / "empty"))
    lost(project)
    message = refused(make(project, "data-pull", name))
    assert "raw" in message and "pull: remote 'empty'" in message


def test_a_copy_without_dvc_is_told_so(project: Path, tmp_path: Path) -> None:
    for name in ("datasets", "conf"):
        shutil.copytree(project / name, tmp_path / name)
    done = call(tmp_path, sys.executable, "-m", "datasets.remote", "push")
    assert f"{tmp_path} is not under DVC: git clone the project" in refused(done)
