"""Secrets of a command are nowhere in what it leaves: every file is searched, as bytes."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import mlflow
import pytest

from datasets.common.fetching.download import file_sha256
from tests.common import ROOT
from tests.servers import free_port
from tests.train.conftest import SMALL, finish, mlflow_server, start
from tests.train.test_failures import photographs

SLIM = ["+pipeline=train_mobilenetv2ft", *SMALL]
"""A small network, because every file that a run leaves is searched."""
PASSWORD = "canary/of@the server"  # pragma: allowlist secret
SIGNATURE = "canary2of2the2signature"
TOKEN = "canary-of-the-token"
FORMS = {form for each in (PASSWORD, SIGNATURE, TOKEN) for form in (each, quote(each, safe=""))}
PARTS = {"canary2", "of@the", "of%40the", "canary-of"}
"""A piece of each, in case that only the rest was hidden."""


class Quiet(SimpleHTTPRequestHandler):
    """Files of a folder, whatever the query."""

    def log_message(self, *_: object) -> None:
        """Log nothing: the address of a request is the secret here."""


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The settings of a data set behind a signed URL."""
    folder = tmp_path_factory.mktemp("signed")
    data = photographs(folder / "data", 12)
    settings = ["dataset.source=archives", "dataset.expected=null"]
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        for split, numbers in {
            "train": range(6),
            "validation": (6, 7, 8),
            "test": (9, 10, 11),
        }.items():
            for path in data.rglob("*.png"):
                if int(path.stem) in numbers:
                    target = folder / split / path.relative_to(data)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    path.rename(target)
            shutil.make_archive(str(folder / split), "zip", folder / split)
            uri = f"http://127.0.0.1:{server.server_port}/{split}.zip"
            signed = f"{uri}?X-Amz-Signature={SIGNATURE}&token={TOKEN}"
            settings.append(f'dataset.archives.{split}.uri="{signed}"')
            digest = file_sha256(folder / f"{split}.zip")
            settings.append(f"dataset.archives.{split}.sha256={digest}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield settings
        server.shutdown()


def assert_nothing_tells(*places: Path, said: str) -> None:
    """Neither `said` nor a file below `places` holds a canary, nor does the name of a file."""
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = path.read_bytes() + str(path).encode()
        found = [text for text in FORMS | PARTS if text.encode() in content]
        assert not found, f"{path} holds {found}"
    assert not [text for text in FORMS | PARTS if text in said], said


@pytest.mark.slow
def test_a_run_leaves_no_secret_anywhere(signed: list[str], tmp_path: Path) -> None:
    served, folder = tmp_path / "served", tmp_path / "run"
    served.mkdir()
    with mlflow_server(served, PASSWORD) as address:
        uri = address.replace("://", f"://admin:{quote(PASSWORD, safe='')}@")
        status, output = finish(start(uri, folder, *SLIM, *signed, "fit.finetune.epochs=0"))
        assert status == 0, output
        failed = [*SLIM, *signed, "dataset.archives.test.sha256=" + 64 * "0"]
        status, failure = finish(start(uri, tmp_path / "failed", *failed))
        assert status == 1
        assert "has sha256" in failure
        sweep = [f"hydra.sweep.dir={tmp_path}/sweep", "seed=1,2"]
        status, swept = finish(start(uri, tmp_path / "swept", "--multirun", *failed, *sweep))
        assert status == 1
    logged = [path.read_text() for path in served.rglob("config.yaml")]
    assert logged and all("tracking_uri: http://***@127" in text for text in logged)
    assert (folder / "outputs/.hydra/config.yaml").is_file()
    assert (tmp_path / "sweep" / "multirun.yaml").is_file()
    pages = [*served.rglob("report.html"), *tmp_path.glob("*/outputs/report.html")]
    assert len(pages) >= 4
    assert_nothing_tells(tmp_path, said=output + failure + swept)


def test_a_database_with_a_password_that_is_not_there_is_not_told(tmp_path: Path) -> None:
    uri = f"postgresql://ana:{quote(PASSWORD, safe='')}@127.0.0.1:{free_port()}/runs"
    status, output = finish(start(uri, tmp_path, *SLIM))
    assert status == 1
    assert "env.tracking_uri=postgresql://***@127.0.0.1" in output
    assert_nothing_tells(tmp_path, said=output)


@pytest.mark.parametrize("what", ["job", "hydra", "all"])
def test_what_would_run_is_printed_without_secrets(what: str, signed: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "train", *SLIM, *signed, "--cfg", what, "--resolve"],
        cwd=ROOT,
        env=os.environ | {"MLFLOW_TRACKING_URI": f"http://ana:{quote(PASSWORD, safe='')}@host"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "***" in done.stdout
    assert not [text for text in FORMS | PARTS if text in done.stdout + done.stderr]


@pytest.mark.slow
def test_the_revision_is_logged_without_the_token_of_its_remote(
    server: str, tmp_path: Path
) -> None:
    from tests.common import clone

    folder = clone(tmp_path / "clone")
    remote = f"https://ana:{TOKEN}@git.example/group/sonda.git"
    subprocess.run(["git", "remote", "add", "origin", remote], cwd=folder, check=True)
    command = ["+pipeline=dataset_treesurvival", "env=development", "dataset.sample_rows=200"]
    done = subprocess.run(
        [sys.executable, "-m", "datasets", *command],
        cwd=folder,
        env=os.environ | {"MLFLOW_TRACKING_URI": server},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    started = re.search(r"MLflow run (\w+) of", done.stdout)
    assert started
    tags = mlflow.MlflowClient(server).get_run(started[1]).data.tags
    assert not [value for value in tags.values() if TOKEN in value]
    assert_nothing_tells(folder / "outputs", said=done.stdout + done.stderr)
