"""The reader: any image file to RGB, or a reason why not.

It stands alone: it imports NumPy, Pillow and pydicom, and of the project nothing but itself.
Training, batch scoring, the command line and the service all read with it, and it travels inside
the Bento, so the same bytes give the same pixels everywhere.

A medical archive holds palettes, 16-bit exports, rotated photographs, DICOM and half-written
files. The reader answers with pixels or with `BadImage`; it never raises anything else, so one
file can neither stop a run nor slip through unseen.

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
from datasets.common.images.decode import ORIENTATION, resize
from datasets.common.images.formats import FORMATS, Source, sniff, stream
from datasets.common.images.headers import Header, header
from datasets.common.images.paths import IGNORED, files, opened, shown, why_not
from datasets.common.images.values import BadImage, Kind, Picture, Window

__all__ = [
    "FORMATS",
    "IGNORED",
    "ORIENTATION",
    "READER",
    "BadImage",
    "Header",
    "Kind",
    "Picture",
    "Source",
    "Window",
    "files",
    "header",
    "opened",
    "read",
    "read_image",
    "resize",
    "shown",
    "why_not",
]

READER = 2
"""Raised when a file gives other pixels than before: models note it, and a service compares."""

FRAME = re.compile(r"(.+)#(\d+)")
"""`scan.dcm#3` is frame 3 of several, counted from 0."""


def read(
    content: Source, max_pixels: int, window: Window | None = None, size: int | None = None
) -> Iterator[Picture]:
    """Every image in `content`, one at a time: each frame of a DICOM file, else the one image.

    With `size` the pixels are uint8 (size, size, 3): a large JPEG is decoded at a half, a quarter
    or an eighth of its sides, none below `size`, which libjpeg does from its coefficients in less
    than half the time; then `resize`. Transparency lies on black; of an animation the first frame
    counts. 16-bit grey is scaled by its full range, 0..65535; floats are taken as 0..1 where no
    value is outside, else as 0..255. `window` goes before the window that a DICOM file names.

    Raises `BadImage` for whatever cannot be decoded whole, and, from the header alone, for an image
    of more than `max_pixels`.
    """
    with stream(content) as file:
        name = sniff(file)
        if name != "DICOM":
            yield decode.read(file, name, max_pixels, size)
            return
        from datasets.common.images import dicom  # a second of imports that others do without

        yield from dicom.read(file, max_pixels, window, size)


def read_image(
    path: Path, max_pixels: int, window: Window | None = None, size: int | None = None
) -> np.ndarray:
    """The pixels of one image of `path`, as `read` gives them; `path` may name a frame.

    Of several frames it is the first, `scan.dcm#3` is the fourth. Raises `BadImage`.
    """
    path, frame = Path(path), 0
    if "#" in path.name and not path.exists() and (named := FRAME.fullmatch(path.name)):
        path, frame = path.with_name(named[1]), int(named[2])
    with opened(path) as file:
        if sniff(file) != "DICOM":
            return next(read(file, max_pixels, window, size)).pixels
        from datasets.common.images import dicom  # a second of imports that others do without

        return next(dicom.read(file, max_pixels, window, size, [frame])).pixels
