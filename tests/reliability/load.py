"""Twice as many requests as a service can answer: who is answered, how fast, and in what memory.

    python tests/reliability/load.py [--seconds 1800] [--model-uri models:/resnet50v2ft-kvasir4/1]

First two clients ask without a pause, which gives the capacity. Then 64 clients ask twice as often
together. Locust is the client, on loopback and on the same cores, so figures are of both.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
CLIENTS = 64
TIMES = 2
"""How many times the capacity is asked for."""
WARM_SECONDS = 8
SAMPLE_SECONDS = 0.5


@dataclass(frozen=True)
class Load:
    """What came of the requests of one run."""

    seconds: float
    answers: dict[str, list[float]]
    """Seconds of each request, sorted, by status; Locust rounds them to two digits."""
    failed: int
    """Requests that got something else than was promised, or nothing."""
    memory: list[float]
    """Resident memory of the service, MB, at equal intervals."""

    @property
    def rate(self) -> float:
        """Predictions a second."""
        return len(self.answers.get("200", [])) / self.seconds

    def quantile(self, status: str, q: float) -> float:
        """Seconds within which a share `q` of the answers with `status` came."""
        return float(np.quantile(self.answers[status], q)) if self.answers.get(status) else 0.0

    def growth(self) -> float:
        """MB by which the last quarter of the run needs more than the second one, by medians."""
        quarter = len(self.memory) // 4
        parts = np.array(self.memory[: 4 * quarter]).reshape(4, quarter)
        return float(np.median(parts[3]) - np.median(parts[1]))


def load(address: str, pid: int, clients: int, seconds: int, rate: float = 0) -> Load:
    """Load from `clients`, `rate` requests a second together, or as fast as they are answered."""
    with tempfile.NamedTemporaryFile("w+") as report:
        command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--json"]
        command += ["--host", address, "-u", str(clients), "-r", str(clients), "-t", f"{seconds}s"]
        command += ["--stop-timeout", "60", "--exit-code-on-error", "0"]
        environment = os.environ | ({"SONDA_LOAD_RATE": str(rate / clients)} if rate else {})
        process = subprocess.Popen(
            command, env=environment, stdout=report, stderr=subprocess.DEVNULL
        )
        memory = []
        while process.poll() is None:
            memory.append(resident(pid))
            time.sleep(SAMPLE_SECONDS)
        report.seek(0)
        found = json.loads(report.read())
    answers, failed = {}, 0
    for entry in found:
        times = entry["response_times"].items()  # milliseconds, and how many answers took them
        answers[entry["name"]] = sorted(float(ms) / 1000 for ms, n in times for _ in range(n))
        failed += entry["num_failures"]
    return Load(seconds, answers, failed, memory)


def resident(pid: int) -> float:
    """Resident memory of a process and its children, MB."""
    root = psutil.Process(pid)
    return sum(each.memory_info().rss for each in [root, *root.children(recursive=True)]) / 2**20


def overload(address: str, pid: int, seconds: int) -> tuple[Load, Load]:
    """The run that shows the capacity, and the one at `TIMES` of it."""
    alone = load(address, pid, 2, WARM_SECONDS)
    return alone, load(address, pid, CLIENTS, seconds, TIMES * alone.rate)


def markdown(alone: Load, full: Load) -> str:
    """The table of the guide."""
    head = "| clients | seconds | predictions/s | predictions | their latency, median and 99 % | "
    head += "503 | their latency | lost | memory |\n|---|---|---|---|---|---|---|---|---|\n"

    def row(clients: str, found: Load) -> str:
        spans = [
            f"{found.quantile(status, 0.5):.2f} s, {found.quantile(status, 0.99):.2f} s"
            for status in ("200", "503")
        ]
        counts = [f"{len(found.answers.get(status, [])):,}" for status in ("200", "503")]
        memory = f"{np.median(found.memory):.0f} MB"
        cells = [clients, f"{found.seconds:.0f}", f"{found.rate:.1f}", counts[0], spans[0]]
        cells += [counts[1], spans[1] if full is found else "", str(found.failed), memory]
        return f"| {' | '.join(cells)} |\n"

    rows = row("2, one request after another", alone)
    rows += row(f"{CLIENTS}, at {TIMES} times the capacity", full)
    return f"{head}{rows}\n- memory in the last quarter minus the second: {full.growth():+.0f} MB"


def main() -> None:
    """Start the service of ResNet50V2, load it, print the table."""
    from tests.benchmarks.serving import service, trained

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--model-uri", default="")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        environment, uri = dict(os.environ), given.model_uri
        if uri:
            environment.setdefault("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
        else:
            environment, uri = trained(Path(name))
        with service(environment, uri, Path(name, "service")) as server:
            print(markdown(*overload(server.address, server.pid, given.seconds)))


if __name__ == "__main__":
    main()
