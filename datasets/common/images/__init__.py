"""The reader: any image file to RGB, or a reason why not.

It stands alone: it imports NumPy, Pillow and pydicom, and of the project nothing but itself.
Training, batch scoring, the command line and the service all read with it, and it travels inside
the Bento, so the same bytes give the same pixels everywhere.

A medical archive holds palettes, 16-bit exports, rotated photographs, DICOM and half-written
files. The reader returns pixels or raises `BadImage`, and nothing else: no file stops a run, and
none is skipped unnoticed.

```mermaid
flowchart LR
    P[path] --> O["opened: a plain file?"] --> C[content]
    C --> H["header: format, width, height, frames"]
    C --> S{sniff} -->|pictures| D["decode (Pillow)"] --> R["uint8 RGB"]
    S -->|DICOM| M["dicom (pydicom)"] --> R
```
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from datasets.common.images import decode
from datasets.common.images.abstention import (
    NOT_SURE,
    REASONS,
    UNLIKE,
    Thresholds,
    Verdict,
    verdicts,
)
from datasets.common.images.decode import ORIENTATION, resize
from datasets.common.images.drift import Counts, Profile, profile
from datasets.common.images.formats import FORMATS, Source, sniff, stream
from datasets.common.images.headers import Header, header
from datasets.common.images.paths import IGNORED, files, opened, shown, why_not
from datasets.common.images.scoring import Scored, score_files
from datasets.common.images.types import BadImage, Kind, Picture, Window

__all__ = [
    "FORMATS",
    "IGNORED",
    "NOT_SURE",
    "ORIENTATION",
    "READER",
    "REASONS",
    "UNLIKE",
    "BadImage",
    "Counts",
    "Header",
    "Kind",
    "Picture",
    "Profile",
    "Scored",
    "Source",
    "Thresholds",
    "Verdict",
    "Window",
    "files",
    "header",
    "located",
    "opened",
    "profile",
    "read",
    "read_image",
    "resize",
    "score_files",
    "shown",
    "sniff",
    "verdicts",
    "why_not",
]

READER = 2
"""Version of the reader, increased when a file gives other pixels than before. A model records it,
and its service compares."""

FRAME = re.compile(r"(.+)#(\d+)")
"""`scan.dcm#3` is frame 3 of several, counted from 0."""


def read(
    content: Source, max_pixels: int, window: Window | None = None, size: int | None = None
) -> Iterator[Picture]:
    """The images in `content`, one at a time: each frame of a DICOM file, or the one image.

    With `size` the pixels are uint8 (size, size, 3), by `resize`. Before it, libjpeg decodes a
    large JPEG at a half, a quarter or an eighth of its sides, none below `size`, which takes less
    than half the time. Transparent pixels are blended with black. The first frame of an animation
    is read. 16-bit grey is scaled by its full range, 0..65535. Floats are scaled from 0..1 if no
    value is outside, else from 0..255. `window` replaces the window of a DICOM file.

    Raises `BadImage` for an image that cannot be decoded completely, and, from the header alone,
    for one of more than `max_pixels`.
    """
    with stream(content) as file:
        name = sniff(file)
        if name != "DICOM":
            yield decode.read(file, name, max_pixels, size)
            return
        from datasets.common.images import dicom  # takes a second, and only DICOM needs it

        yield from dicom.read(file, max_pixels, window, size)


def read_image(
    path: Path, max_pixels: int, window: Window | None = None, size: int | None = None
) -> np.ndarray:
    """The pixels of one image of `path`, as `read` gives them; `path` may name a frame.

    Without a frame it is the first; `scan.dcm#3` is the fourth. Raises `BadImage`.
    """
    path, frame = located(Path(path))
    with opened(path) as file:
        if sniff(file) != "DICOM":
            return next(read(file, max_pixels, window, size)).pixels
        from datasets.common.images import dicom  # takes a second, and only DICOM needs it

        return next(dicom.read(file, max_pixels, window, size, [frame])).pixels


def located(path: Path) -> tuple[Path, int]:
    """The file of the image `path` and its frame: `scan.dcm` and 3 for `scan.dcm#3`, else 0."""
    if "#" in path.name and not path.exists() and (named := FRAME.fullmatch(path.name)):
        return path.with_name(named[1]), int(named[2])
    return path, 0
