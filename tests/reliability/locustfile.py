"""Clients that classify an image, for `tests/reliability/load.py`.

SONDA_LOAD_RATE is the number of requests a second of each; without it each asks again at once.
Answers are counted by their status.
"""

import os
import sys
from pathlib import Path

from locust import FastHttpUser, constant, constant_throughput, task

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.deploy.common import encoded, frame

RATE = float(os.environ.get("SONDA_LOAD_RATE", "0"))
IMAGES = [encoded(frame(number % 4, number), "JPEG") for number in range(16)]
SECONDS = 120
"""Longer than the service's own time limit, so that a late answer is one."""


class Client(FastHttpUser):
    """One client, with a connection of its own."""

    wait_time = constant_throughput(RATE) if RATE else constant(0)
    network_timeout = connection_timeout = SECONDS
    asked = 0

    @task
    def predict(self) -> None:
        """Ask once. An answer with 200, or 503 that says when to come back, is as promised."""
        self.asked += 1
        image = IMAGES[self.asked % len(IMAGES)]
        headers = {"Content-Type": "image/jpeg"}
        with self.client.post(
            "/predict",
            image,  # type: ignore[arg-type]
            headers=headers,
            catch_response=True,
        ) as answer:
            status = answer.status_code
            answer.request_meta["name"] = str(status)
            answered = status == 200 and answer.json()["predictions"]
            refused = status == 503 and answer.headers.get("Retry-After")
            if answered or refused:
                answer.success()
            else:
                answer.failure(f"{status}: {answer.text[:200]}")
