"""How much a service takes on; every limit can be set by an environment variable."""

import os
from dataclasses import dataclass, fields
from pathlib import Path

PREFIX = "SONDA_"
WORKERS = 1
"""Processes. One uses all cores for each answer; a second one would only take memory."""
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Microseconds of CPU time and the period they are granted for, or `max` (cgroup v2)."""


@dataclass(frozen=True)
class Limits:
    """Limits of one worker process."""

    max_bytes: int = 20 * 2**20
    """Size of a request's body, whatever its images are."""
    max_pixels: int = 25_000_000
    """Width times height of one image, all its frames together.

    Decoding takes up to 20 bytes a pixel, in each thread: 4 to 8 for most formats, 6 to 11 for
    DICOM, 16 for WebP, 20 for JPEG 2000; next to nothing for a JPEG, which is decoded small.
    """
    max_images: int = 16
    """Images in one request; each frame of DICOM is one."""
    max_rows: int = 10_000
    """Rows of a table in one request."""
    max_requests: int = 32
    """Requests that are read, waiting or computed at a time; one more is answered with 503."""
    read_seconds: int = 30
    """Time in which a body must have arrived."""

    @classmethod
    def from_environment(cls) -> "Limits":
        """Defaults, changed by variables such as `SONDA_MAX_BYTES`. Raises `ValueError`."""
        values = {}
        for field in fields(cls):
            name = PREFIX + field.name.upper()
            text = os.environ.get(name, "")
            if text and (not text.isdecimal() or int(text) == 0):
                raise ValueError(f"{name}={text!r} is not a whole number over 0")
            if text:
                values[field.name] = int(text)
        return cls(**values)


def cores() -> int:
    """CPU cores that this process may use: the machine's, less what affinity or a cgroup takes."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = CPU_QUOTA.read_text().split()
        share = int(quota) // int(period)
    except (OSError, ValueError):  # no cgroup v2, or no quota
        return count or 1
    return max(1, min(count or 1, share))
