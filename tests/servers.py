"""Servers as real processes: started, waited for, and stopped again by their process group."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.common import ROOT

START_SECONDS = 180
STOP_SECONDS = 30
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Server:
    """A server that answers: where, as which process, and how long that took."""

    address: str
    pid: int
    seconds: float


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(
    command: Sequence[str],
    port: int,
    ready: str,
    environment: Mapping[str, str],
    log: Path,
    cwd: Path = ROOT,
) -> Iterator[Server]:
    """`python <command>`, once a GET of the path `ready` is answered; raises with its log."""
    # As in an activated environment: mlflow looks for uvicorn by its bare name.
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    started = time.monotonic()
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=cwd,
            env={**environment, "PATH": path},
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        while not _answers(address + ready):
            if process.poll() is not None or time.monotonic() - started > START_SECONDS:
                raise RuntimeError(f"{command} did not get ready:\n{log.read_text()[-3000:]}")
            time.sleep(POLL_SECONDS)
        yield Server(address, process.pid, time.monotonic() - started)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(STOP_SECONDS)


@contextmanager
def moto(folder: Path) -> Iterator[str]:
    """The address of the services of AWS, as moto plays them; its log is in `folder`."""
    port = free_port()
    command = ["-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, port, "/moto-api/", os.environ, folder / "moto.log") as server:
        yield server.address


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False
