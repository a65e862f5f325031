"""Limits of a service; environment variables change them."""

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path

PREFIX = "SONDA_"
WORKERS = 1
"""Worker processes. One uses all cores for each prediction; a second one would only need memory."""
ANSWER_SECONDS = 60
"""Time limit of a request, in seconds; after that it gets 504."""
STOP_SECONDS = ANSWER_SECONDS + 5
"""Seconds that a service which is told to stop (SIGTERM) gives the requests that it accepted."""
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""CPU quota and its period, both in microseconds (cgroup v2); the quota may be `max`."""
WHOLES = {
    "max_bytes": "max_total_bytes",
    "max_pixels": "max_request_pixels",
    "max_request_pixels": "max_total_pixels",
}
"""The limit of a part, and the limit of the whole, which must be at least as large."""


@dataclass(frozen=True)
class Limits:
    """Limits of one worker process; `ValueError` if a part may be larger than its whole.

    With these defaults the service of ResNet50V2 needed 0.5 GB when idle and at most 1.7 GB for the
    worst of 16 kinds of bodies (`tests/benchmarks/service_memory.py`): give its container 3 GiB.
    A million more `max_total_pixels` needs 32 MB more, a million more `max_total_bytes` 3 MB.
    """

    max_bytes: int = 20 * 2**20
    """Bytes of a request's body."""
    max_total_bytes: int = 160 * 2**20
    """Bytes of the bodies of all requests in progress; a request beyond gets 503."""
    max_pixels: int = 25_000_000
    """Pixels of one image: width times height, summed over its frames.

    Decoding needs memory for each pixel, in each thread: 4 to 8 bytes for most formats, 6 to 11 for
    DICOM, 17 for WebP, 25 for JPEG 2000; almost none for a JPEG, which is decoded at a small size.
    """
    max_request_pixels: int = 50_000_000
    """Pixels of all images in one request."""
    max_total_pixels: int = 50_000_000
    """Pixels of all requests that are computed at the same time; further requests wait."""
    max_images: int = 16
    """Images in one request; each frame of a DICOM file counts as one."""
    max_rows: int = 10_000
    """Rows of a table in one request."""
    max_reading: int = 256
    """Requests whose body is arriving; a further one gets 503."""
    max_requests: int = 32
    """Requests that wait or are computed; a further one gets 503."""
    read_seconds: int = 30
    """Seconds in which a body must arrive."""
    min_bytes_per_second: int = 1000
    """Bytes a second that a body must bring on average; the first 5 seconds are free."""
    wait_seconds: int = 15
    """Seconds that a request may wait for its pixels; after that it gets 503."""

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
    """Number of CPU cores that this process may use, by its affinity and its cgroup."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = CPU_QUOTA.read_text().split()
        share = int(quota) // int(period)
    except (OSError, ValueError):  # no cgroup v2, or no quota
        return count or 1
    return max(1, min(count or 1, share))
