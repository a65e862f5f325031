"""Load on a server by a number of clients at once, and what it costs."""

import http.client
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np
import psutil

from deploy.serving.images.engine import Engine
from tests.servers import Server


@dataclass
class System:
    """One way to serve: its requests, one after another by number, and what was measured."""

    name: str
    server: Server | None
    path: str = "/predict"
    content_type: str = "image/jpeg"
    bodies: list[bytes] = field(default_factory=list)
    engine: Engine | None = None
    pixels: np.ndarray | None = None
    latencies: dict[int, list[float]] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    memory: float = 0.0
    """Largest resident memory of its processes together, MB."""

    def client(self) -> Iterator[None]:
        """A generator that asks once each time it is advanced."""
        if self.engine is not None:
            assert self.pixels is not None
            for number in range(10**9):
                self.engine.run(self.pixels[number % len(self.pixels)][None])
                yield
        assert self.server is not None
        address = urlsplit(self.server.address)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=300)
        for number in range(10**9):
            body = self.bodies[number % len(self.bodies)]
            connection.request("POST", self.path, body, {"Content-Type": self.content_type})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{self.name} answered {answer.status}: {text[:300]!r}")
            yield

    def load(self, clients: int, requests: int) -> None:
        """`requests` from each of `clients` at once; adds to latencies and seconds."""
        found = self.latencies.setdefault(clients, [])
        errors: list[BaseException] = []

        def ask() -> None:
            try:
                client = self.client()
                for _ in range(requests):
                    start = time.perf_counter()
                    next(client)
                    found.append(time.perf_counter() - start)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=ask) for _ in range(clients)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.seconds[clients] = self.seconds.get(clients, 0) + time.perf_counter() - start
        if errors:
            raise errors[0]
        self.memory = max(self.memory, self._resident())

    def _resident(self) -> float:
        if self.server is None:
            return float("nan")
        root = psutil.Process(self.server.pid)
        return sum(p.memory_info().rss for p in [root, *root.children(recursive=True)]) / 2**20

    def rate(self, clients: int) -> float:
        """Images per second with `clients`."""
        return len(self.latencies[clients]) / self.seconds[clients]
