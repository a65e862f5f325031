"""Clients that send slowly, or never end, take nothing from the others."""

import statistics
import time

import pytest
import requests

from deploy.serving.http.limits import Limits
from deploy.serving.http.upload import FREE_SECONDS
from tests.deploy.common import encoded, frame
from tests.reliability.common import PNG, Running, head, send, trickling

IMAGE = encoded(frame(0, 3))
REQUESTS = 15
SLOWER = 10
"""How many times as long an accepted request may take beside slow clients; on a quiet machine it
takes as long. Without places of its own it would be refused."""
REFUSED_SECONDS = 0.1
"""Or as long as an accepted request, on a busy machine."""

pytestmark = pytest.mark.slow


def asked(service: Running) -> float:
    """Median seconds of an answer, one request after another."""
    seconds = []
    for _ in range(REQUESTS):
        started = time.perf_counter()
        assert requests.post(f"{service.address}/predict", data=IMAGE, headers=PNG).ok
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def test_as_many_slow_clients_as_there_are_places_for_computing_delay_nobody(
    plain: Running,
) -> None:
    alone = asked(plain)
    with trickling(plain.port, 2 * Limits().max_requests):
        assert asked(plain) < SLOWER * alone


def test_one_client_too_many_is_told_at_once_and_slow_ones_soon_give_their_places_back(
    plain: Running,
) -> None:
    alone = asked(plain)
    with trickling(plain.port, Limits().max_reading) as clients:
        time.sleep(0.5)  # until all of them are being read
        refusals = []
        for _ in range(20):
            started = time.perf_counter()
            response = requests.post(f"{plain.address}/predict", data=IMAGE, headers=PNG)
            refusals.append(time.perf_counter() - started)
            assert (response.status_code, response.json()["error"]) == (503, "overloaded")
            assert int(response.headers["Retry-After"]) > 0
        assert statistics.median(refusals) < max(REFUSED_SECONDS, alone)
        assert requests.get(f"{plain.address}/readyz").ok
        for client in clients:
            client.settimeout(FREE_SECONDS + 10)
            assert client.recv(100).startswith(b"HTTP/1.1 408")
        assert asked(plain) > 0


def test_a_body_may_be_slow_but_not_below_the_least_rate(plain: Running) -> None:
    step = Limits().min_bytes_per_second * 2
    started = time.monotonic()
    client = send(plain.port, head(len(IMAGE)))
    for begin in range(0, len(IMAGE), step):
        client.sendall(IMAGE[begin : begin + step])
        if time.monotonic() < started + FREE_SECONDS + 2:
            time.sleep(1)
    assert client.recv(100).startswith(b"HTTP/1.1 200")
    client.close()
