"""What a user sees when something breaks: a message, a status, a run marked failed, work kept."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import requests
from PIL import Image

from tests.servers import free_port
from tests.train.conftest import TINY, finish, mlflow_server, mounted, start
from tests.train.test_end_to_end import CLASSES, artifact, newest

START_SECONDS = 120
HOP_BY_HOP = ("host", "connection", "content-length", "accept-encoding")
"""Headers that a proxy does not pass on."""


def photographs(folder: Path, count: int) -> Path:
    """`count` noise images of each class under `folder`."""
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def test_a_corrupt_share_fails_the_run_and_the_report_names_the_step(
    server: str, tmp_path: Path
) -> None:
    data = photographs(tmp_path / "data", 4)
    for number in range(3):
        (data / CLASSES[2] / f"{number}.png").write_bytes(b"\x89PNG broken")
    status, output = finish(
        start(server, tmp_path, *TINY, "dataset.source=directory", f"dataset.path={data}")
    )
    assert status == 1
    assert "3 of 16 images cannot be used" in output
    assert "Traceback" not in output
    mlflow.set_tracking_uri(server)
    run = newest(mlflow.MlflowClient(server))
    assert run.info.status == "FAILED"
    assert run.data.tags["failed_step"] == "ingest"
    for page in (artifact(run, "report.html"), tmp_path / "outputs" / "report.html"):
        assert "The step ingest failed" in page.read_text()
        assert "2_polyps" in page.read_text()


def test_an_unreachable_server_is_named_before_any_work(tmp_path: Path) -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    status, output = finish(start(uri, tmp_path, *TINY))
    assert status == 1
    assert f"env.tracking_uri={uri} does not answer" in output
    assert "Traceback" not in output
    assert not (tmp_path / "cache").exists()


def test_an_empty_address_is_named_before_any_work(tmp_path: Path) -> None:
    status, output = finish(start("", tmp_path, *TINY))
    assert status == 1
    assert "env.tracking_uri is empty: unset MLFLOW_TRACKING_URI" in output
    assert "Traceback" not in output
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_a_server_that_dies_in_mid_run_is_named_and_a_report_remains(tmp_path: Path) -> None:
    with mlflow_server(tmp_path) as uri:
        process = start(uri, tmp_path, *TINY, "dataset.sample_images=400")
        wait_for(process, "drawing", tmp_path)
    status, output = finish(process)
    assert status == 1, output
    assert f"env.tracking_uri={uri} failed in mid-run" in output
    assert (tmp_path / "outputs" / "report.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_stopping_a_run_marks_it_killed(server: str, tmp_path: Path, sign: signal.Signals) -> None:
    process = start(server, tmp_path, *TINY, "dataset.sample_images=400")
    wait_for(process, "drawing", tmp_path)
    os.kill(process.pid, sign)
    status, output = finish(process)
    assert status == 130, output
    assert "the same command continues" in output
    mlflow.set_tracking_uri(server)
    assert newest(mlflow.MlflowClient(server)).info.status == "KILLED"


class FailingProxy(BaseHTTPRequestHandler):
    """In front of a tracking server: dead after a run was made, or in trouble for one request."""

    target = ""
    dies = False
    """Whether it hangs up on everything once a run was made."""
    trouble = 1
    """How many requests that log something are answered 503."""
    made = False
    uri = ""

    def do(self) -> None:
        """Pass a request on, unless it is one that fails."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = type(self)
        if kind.dies and kind.made:
            self.close_connection = True
            return
        kind.made |= self.path.endswith("/runs/create")
        if not kind.dies and kind.trouble and self.path.endswith("/runs/log-batch"):
            kind.trouble -= 1
            self.send_response(503)
            self.end_headers()
            return
        headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
        answer = requests.request(self.command, kind.target + self.path, data=body, headers=headers)
        self.send_response(answer.status_code)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do  # noqa: N815 -- the names in http.server

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def proxy(target: str, dies: bool) -> Iterator[Any]:
    """A proxy in front of the server at `target`; its address is its `uri`."""
    kind: Any = type("Proxy", (FailingProxy,), {"target": target, "dies": dies})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        kind.uri = f"http://127.0.0.1:{listening.server_port}"
        yield kind
        listening.shutdown()


@pytest.mark.slow
def test_a_job_whose_server_dies_leaves_the_next_of_its_sweep_as_patient_as_before(
    server: str, tmp_path: Path
) -> None:
    with proxy(server, dies=True) as dead, proxy(server, dies=False) as troubled:
        sweep = [
            "--multirun", f"hydra.sweep.dir={tmp_path}/sweep",
            "+pipeline=dataset_treesurvival", "env=development", "dataset.sample_rows=200",
            f"env.tracking_uri={dead.uri},{troubled.uri}",
        ]  # fmt: skip
        status, output = finish(start(server, tmp_path, *sweep, entry="datasets"))
    assert status == 1, "the first job failed"
    assert dead.made and f"env.tracking_uri={dead.uri} failed in mid-run" in output
    assert troubled.made, output
    assert troubled.trouble == 0, "nothing had to be tried again, so nothing was shown"
    mlflow.set_tracking_uri(server)
    run = newest(mlflow.MlflowClient(server), "dataset/treesurvival")
    assert run.info.status == "FINISHED", output


def wait_for(process: subprocess.Popen[str], what: str, folder: Path) -> None:
    """Wait until the run draws its sample images into `folder`."""
    for _ in range(START_SECONDS * 10):
        assert process.poll() is None, f"ended before {what}:\n{finish(process)[1]}"
        if any((folder / "cache").rglob("*.jpg")):
            return
        time.sleep(0.1)
    pytest.fail(f"not {what} after {START_SECONDS} s")


@pytest.mark.slow
def test_a_full_disk_is_named_and_nothing_half_written_is_used(server: str, tmp_path: Path) -> None:
    disk = tmp_path / "cache"
    with mounted(disk, "size=3m"):
        status, output = finish(
            start(server, tmp_path, *TINY, "dataset.sample_images=60", "env.limits.image_size=96")
        )
    assert status == 1, output
    assert "disk" in output
    assert str(disk) in output
    assert "env.cache=" in output
    assert "Traceback" not in output
