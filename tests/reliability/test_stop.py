"""A service that is told to stop finishes what it accepted, and one that dies comes back."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from deploy.serving.http.limits import STOP_SECONDS
from tests.common import ROOT
from tests.deploy.common import Trained, encoded, frame
from tests.reliability.common import PNG, Running, head, send, trickling
from tests.reliability.conftest import Starter
from tests.servers import free_port, running

pytestmark = pytest.mark.slow

IMAGE = encoded(frame(0, 3))
CLIENTS = 12
BACK_SECONDS = 60
SHORT = 3
"""Seconds that a service gives accepted requests in a test that waits for their end."""


def ended(pid: int, seconds: float) -> bool:
    """Whether the process has ended within `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_what_was_accepted_before_sigterm_is_answered_and_then_the_service_ends(
    start: Starter,
) -> None:
    def ask(_: int) -> int:
        url = f"{service.address}/predict?explain=1"
        sent = [("image", IMAGE)] * 3
        return requests.post(url, files=sent, timeout=STOP_SECONDS).status_code

    with start() as service, ThreadPoolExecutor(CLIENTS) as pool:
        assert f"--timeout-graceful-shutdown {STOP_SECONDS}" in " ".join(service.worker.cmdline())
        slow = send(service.port, head(len(IMAGE)) + IMAGE[:50_000])
        asked = [pool.submit(ask, number) for number in range(CLIENTS)]
        while not any(future.done() for future in asked):  # some are answered, others wait
            time.sleep(0.01)
        os.kill(service.pid, signal.SIGTERM)
        time.sleep(1)
        with pytest.raises(requests.RequestException):  # it accepts nothing any more
            requests.get(f"{service.address}/livez", timeout=1)
        slow.sendall(IMAGE[50_000:])
        assert slow.recv(100).startswith(b"HTTP/1.1 200")
        assert {future.result() for future in asked} == {200}
        assert ended(service.pid, 10)
        assert "Traceback" not in service.log.read_text()


def test_a_client_that_stays_cannot_keep_a_service_that_is_told_to_stop(
    start: Starter, trained: Trained, tmp_path: Path
) -> None:
    with start():
        pass  # the model is imported
    port, log = free_port(), tmp_path / "serve.log"
    service = f"deploy.{trained.deployment.replace('/', '.')}.service"
    command = ["-m", "bentoml", "serve", service, "--working-dir", str(ROOT), "--port", str(port)]
    command += ["--host", "127.0.0.1", "--timeout-graceful-shutdown", str(SHORT)]
    with (
        running(command, port, "/readyz", trained.environment, log) as server,
        trickling(port, 3),
    ):
        time.sleep(0.3)
        began = time.monotonic()
        os.kill(server.pid, signal.SIGTERM)
        assert ended(server.pid, SHORT + 10)
        assert time.monotonic() - began > SHORT / 2  # it did wait for them


def test_a_worker_that_is_killed_comes_back(start: Starter) -> None:
    with start() as service:
        before = service.worker.pid
        os.kill(before, signal.SIGKILL)
        end = time.monotonic() + BACK_SECONDS
        while not answers(service):
            assert time.monotonic() < end, service.log.read_text()[-2000:]
            time.sleep(0.1)
        assert service.worker.pid != before
        assert requests.post(f"{service.address}/predict", data=IMAGE, headers=PNG).ok


def answers(service: Running) -> bool:
    try:
        return requests.get(f"{service.address}/readyz", timeout=2).ok
    except requests.RequestException:
        return False
