"""What the tests of reliability share: a running service, its processes, keys, slow clients."""

import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

LAB, WARD = "lab-key-of-the-tests", "ward-key-of-the-tests"  # pragma: allowlist secret
OLD = "old-ward-key-of-the-tests"  # pragma: allowlist secret
KEYS = " ".join(
    f"{name}:{sha256(key.encode()).hexdigest()}"
    for name, key in (("lab", LAB), ("ward", WARD), ("ward", OLD))
)
RATE = 20
"""Requests a minute of each key."""
PNG = {"Content-Type": "image/png"}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@dataclass(frozen=True)
class Running:
    """A service that runs: where, and what it leaves behind."""

    address: str
    pid: int
    log: Path
    temporary: Path
    """Its TMPDIR."""

    @property
    def port(self) -> int:
        return urlsplit(self.address).port or 0

    @property
    def worker(self) -> psutil.Process:
        """The process that answers: the one with the most memory."""
        children = psutil.Process(self.pid).children(recursive=True)
        return max(children, key=lambda process: process.memory_info().rss)

    def memory(self) -> float:
        """Resident memory of all its processes, MB."""
        root = psutil.Process(self.pid)
        return sum(p.memory_info().rss for p in [root, *root.children(recursive=True)]) / 2**20

    def files(self) -> list[str]:
        """Files below its TMPDIR."""
        return sorted(str(path) for path in self.temporary.rglob("*") if path.is_file())

    def audited(self, request: str, seconds: float = 5) -> dict[str, Any]:
        """The line of the audit log with this request id."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for line in self.log.read_text().splitlines():
                if line.startswith('{"time"') and json.loads(line)["request"] == request:
                    return dict(json.loads(line))
            time.sleep(0.02)
        raise LookupError(f"no line of the audit log has the request {request}")


def send(port: int, content: bytes) -> socket.socket:
    """A connection on which `content` was sent."""
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    client.sendall(content)
    return client


def head(length: int, kind: str = "image/png") -> bytes:
    """The head of a request with a body of `length` bytes."""
    return (
        f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


@contextmanager
def trickling(port: int, count: int) -> Iterator[Sequence[socket.socket]]:
    """`count` connections that announced a body, sent a byte of it, and wait."""
    clients = [send(port, head(1000) + b"a") for _ in range(count)]
    try:
        yield clients
    finally:
        for client in clients:
            with suppress(OSError):
                client.close()
