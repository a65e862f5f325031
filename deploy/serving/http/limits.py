"""How much a service takes on; every limit can be set by an environment variable."""

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path

PREFIX = "SONDA_"
WORKERS = 1
"""Processes. One uses all cores for each answer; a second one would only take memory."""
ANSWER_SECONDS = 60
"""Time in which a request must have its answer; then it is answered with 504."""
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Microseconds of CPU time and the period they are granted for, or `max` (cgroup v2)."""
WHOLES = {
    "max_bytes": "max_total_bytes",
    "max_pixels": "max_request_pixels",
    "max_request_pixels": "max_total_pixels",
}
"""Limits of a part, and of the whole that must hold one such part, or it would never be served."""


@dataclass(frozen=True)
class Limits:
    """Limits of one worker process; `ValueError` where a part is allowed more than its whole.

    With these defaults the service of ResNet50V2 took 1.7 GB at most, of which 0.5 GB idle, for the
    worst of 16 kinds of bodies (`tests/benchmarks/service_memory.py`): give its container 3 GiB.
    A million more of `max_total_pixels` needs 32 MB more, one of `max_total_bytes` 3 MB.
    """

    max_bytes: int = 20 * 2**20
    """Size of a request's body, whatever its images are."""
    max_total_bytes: int = 160 * 2**20
    """Size of the bodies of all requests under way; one more byte is answered with 503."""
    max_pixels: int = 25_000_000
    """Width times height of one image, all its frames together.

    Decoding takes up to 25 bytes a pixel, in each thread: 4 to 8 for most formats, 6 to 11 for
    DICOM, 17 for WebP, 25 for JPEG 2000; next to nothing for a JPEG, which is decoded small.
    """
    max_request_pixels: int = 50_000_000
    """Pixels of all images of a request."""
    max_total_pixels: int = 50_000_000
    """Pixels of all requests that are computed at a time; further ones wait in line."""
    max_images: int = 16
    """Images in one request; each frame of DICOM is one."""
    max_rows: int = 10_000
    """Rows of a table in one request."""
    max_requests: int = 32
    """Requests that are read, waiting or computed at a time; one more is answered with 503."""
    read_seconds: int = 30
    """Time in which a body must have arrived."""
    wait_seconds: int = 15
    """Time that a request waits for its pixels to fit; then it is answered with 503."""

    def __post_init__(self) -> None:
        for part, whole in WHOLES.items():
            if getattr(self, part) > getattr(self, whole):
                raise ValueError(
                    f"{_variable(part)}={getattr(self, part)} is more than "
                    f"{_variable(whole)}={getattr(self, whole)}: set both"
                )

    @classmethod
    def from_environment(cls, defaults: "Limits | None" = None) -> "Limits":
        """`defaults`, changed by variables such as `SONDA_MAX_BYTES`. Raises `ValueError`."""
        values = {}
        for field in fields(cls):
            name = _variable(field.name)
            text = os.environ.get(name, "")
            if text and (not text.isdecimal() or int(text) == 0):
                raise ValueError(f"{name}={text!r} is not a whole number over 0")
            if text:
                values[field.name] = int(text)
        return replace(defaults or cls(), **values)


def _variable(field: str) -> str:
    return PREFIX + field.upper()


def cores() -> int:
    """CPU cores that this process may use: the machine's, less what affinity or a cgroup takes."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = CPU_QUOTA.read_text().split()
        share = int(quota) // int(period)
    except (OSError, ValueError):  # no cgroup v2, or no quota
        return count or 1
    return max(1, min(count or 1, share))
