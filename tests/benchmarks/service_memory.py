"""The memory that a service of images needs at its default limits, whatever it is sent.

    python tests/benchmarks/service_memory.py [--model-uri models:/resnet50v2ft-kvasir4/1]

For each kind of content, `Limits.max_requests` clients send at once the worst that the limits
allow: images of `max_pixels` in the formats that take most memory a pixel, and bodies of
`max_bytes`. Flat images, so that many pixels fit into few bytes. Given is the largest resident
memory of the service's processes together since the kind's first request, and what that is, beyond
the idle service, for each of the `max_total_pixels` under way.
"""

import argparse
import base64
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from math import isqrt
from pathlib import Path

import numpy as np
import psutil
import requests
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deploy.serving.http.limits import PREFIX, Limits, cores
from tests.benchmarks.serving import service, trained
from tests.deploy.common import encoded

LIMITS = Limits()
SIDE = isqrt(LIMITS.max_pixels)
TURNED = 6
"""An EXIF orientation that makes a width of a height."""
IMAGE, JSON = {"Content-Type": "image/png"}, {"Content-Type": "application/json"}
SECONDS = 180


def flat(mode: str) -> Image.Image:
    return Image.new(mode, (SIDE, SIDE))


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = TURNED
    return exif


def noise(size: int) -> bytes:
    """A PNG of about `size` bytes that cannot be packed."""
    side = isqrt(size // 3) - 8
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    return encoded(Image.fromarray(pixels), compress_level=0)


def in_json(image: bytes) -> bytes:
    return json.dumps({"image": base64.b64encode(image).decode()}).encode()


KINDS: dict[str, tuple[Callable[[], bytes], dict[str, str]]] = {
    "JPEG": (lambda: encoded(flat("RGB"), "JPEG"), IMAGE),
    "JPEG, progressive": (
        lambda: encoded(flat("RGB"), "JPEG", progressive=True, subsampling=0), IMAGE),
    "JPEG, CMYK": (lambda: encoded(flat("CMYK"), "JPEG"), IMAGE),
    "PNG": (lambda: encoded(flat("RGB")), IMAGE),
    "PNG, 16 bits": (lambda: encoded(flat("I;16")), IMAGE),
    "PNG, alpha, turned": (lambda: encoded(flat("RGBA"), exif=turned()), IMAGE),
    "PNG, palette with transparency": (lambda: encoded(flat("P"), transparency=0), IMAGE),
    "PNG, grey with alpha": (lambda: encoded(flat("LA")), IMAGE),
    "TIFF, float": (
        lambda: encoded(flat("F"), "TIFF", compression="tiff_adobe_deflate"), IMAGE),
    "TIFF, 32 bits": (
        lambda: encoded(flat("I"), "TIFF", compression="tiff_adobe_deflate"), IMAGE),
    "TIFF, LAB": (
        lambda: encoded(flat("LAB"), "TIFF", compression="tiff_adobe_deflate"), IMAGE),
    "WebP, alpha": (lambda: encoded(flat("RGBA"), "WEBP", lossless=True, method=0), IMAGE),
    "JPEG 2000, alpha": (lambda: encoded(flat("RGBA"), "JPEG2000"), IMAGE),
    "GIF": (lambda: encoded(flat("P"), "GIF"), IMAGE),
    "a full body": (lambda: noise(LIMITS.max_bytes), IMAGE),
    "a full body of JSON": (lambda: in_json(noise(LIMITS.max_bytes * 3 // 4)), JSON),
}  # fmt: skip


def processes(pid: int) -> Iterator[psutil.Process]:
    parent = psutil.Process(pid)
    yield parent
    yield from parent.children(recursive=True)


def forget(pid: int) -> None:
    """Let the largest resident memory of the processes begin anew (Linux, proc(5))."""
    for process in processes(pid):
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def largest(pid: int) -> int:
    """Largest resident memory of the processes since `forget`, bytes."""
    total = 0
    for process in processes(pid):
        status = Path(f"/proc/{process.pid}/status").read_text()
        [line] = [each for each in status.splitlines() if each.startswith("VmHWM")]
        total += int(line.split()[1]) * 1024
    return total


def flood(address: str, body: bytes, headers: dict[str, str]) -> Counter[str]:
    """Answers by status to `max_requests` clients at once."""

    def ask(_: int) -> str:
        try:
            url = f"{address}/predict?explain=true"
            return str(requests.post(url, data=body, headers=headers, timeout=SECONDS).status_code)
        except requests.ConnectionError:  # answered with 503 and closed before it was all sent
            return "closed"

    with ThreadPoolExecutor(LIMITS.max_requests) as pool:
        return Counter(pool.map(ask, range(LIMITS.max_requests)))


def measure(environment: dict[str, str], uri: str, folder: Path) -> None:
    """Start the service, send each kind, print a table."""
    with service(environment, uri, folder) as server:
        first = encoded(Image.new("RGB", (300, 300)))
        requests.post(f"{server.address}/predict?explain=true", data=first, headers=IMAGE)
        forget(server.pid)
        idle, most = largest(server.pid), 0
        print(f"| {LIMITS.max_requests} clients send | MB at most | bytes a pixel | answers |")
        print("|---|---|---|---|")
        print(f"| nothing | {idle / 1e6:.0f} | | |", flush=True)
        for name, (make, headers) in KINDS.items():
            body = make()
            forget(server.pid)
            answers = flood(server.address, body, headers)
            peak = largest(server.pid)
            most = max(most, peak)
            pixel = f"{(peak - idle) / LIMITS.max_total_pixels:.1f}" if headers is IMAGE else ""
            told = ", ".join(f"{status}: {count}" for status, count in sorted(answers.items()))
            print(f"| {name} | {peak / 1e6:.0f} | {pixel} | {told} |", flush=True)
    print(f"\nAt most {most / 1e9:.1f} GB, {cores()} cores, {LIMITS}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure the memory that a service needs.")
    parser.add_argument("--model-uri", default="")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        environment, uri = dict(os.environ), given.model_uri
        if uri:
            environment.setdefault("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
        else:
            environment, uri = trained(folder)
        unset = {
            name: value for name, value in environment.items() if name[: len(PREFIX)] != PREFIX
        }
        measure(unset, uri, folder / "service")


if __name__ == "__main__":
    main()
