"""The sample input of a deployment: the example in its OpenAPI document."""

import mimetypes
from pathlib import Path

SAMPLE = "sample-input"
"""Name of the file without its suffix, and the route that serves it."""


def find(home: Path | None) -> Path | None:
    """The sample file in the folder of a deployment, other than JSON: what a client has."""
    found = sorted(home.glob(f"{SAMPLE}.*")) if home else []
    return next((path for path in found if path.suffix != ".json"), None)


def media_type(path: Path) -> str:
    """The media type of a file, by its suffix."""
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"
