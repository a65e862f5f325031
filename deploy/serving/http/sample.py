"""The sample input of a deployment: the example in its OpenAPI document."""

import mimetypes
from pathlib import Path

SAMPLE = "sample-input"
"""Its name without the suffix, and the route that gives it out."""


def find(home: Path | None) -> Path | None:
    """The sample file in the folder of a deployment, as a client has it: not wrapped in JSON."""
    found = sorted(home.glob(f"{SAMPLE}.*")) if home else []
    return next((path for path in found if path.suffix != ".json"), None)


def media_type(path: Path) -> str:
    """What HTTP calls the content of a file with this suffix."""
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"
