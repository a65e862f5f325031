r"""DICOM files to RGB: what the scanner stored, as a radiologist's screen shows it.

```mermaid
flowchart LR
    S["stored values"] --> M["modality: slope and intercept, or table"]
    M -->|"such as Hounsfield units"| V["window: of the settings, else of the file, else all"]
    V --> P["photometric interpretation"] --> R["uint8 RGB"]
    H["header"] -.-> M & V & P
```

With slope \(s\), intercept \(i\), centre \(c\) and width \(w\), a stored value \(v\) becomes
\(x = s v + i\) and is shown as \(255 \big(\frac{x - (c - 0.5)}{w - 1} + 0.5\big)\), cut off at 0
and 255 (DICOM PS3.3, sections C.11.1 and C.11.2). What a file says about rescaling and windows
stands in its header, or for each frame in its functional groups.

Each frame of a multi-frame file is an image of its own: `scan.dcm#3` is the fourth.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.pixels import get_decoder, iter_pixels, pixel_array
from pydicom.pixels.processing import (
    apply_color_lut,
    apply_modality_lut,
    apply_voi,
    apply_windowing,
)
from pydicom.uid import DeflatedExplicitVRLittleEndian

from datasets.common.images import BadImage, too_large

FRAME = re.compile(r"(.+)#(\d+)")
MACROS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
"""Functional groups that hold slope and intercept, and window (PS3.3, section C.7.6.16.2)."""


def read(path: Path, max_pixels: int, window: Any = None) -> np.ndarray:
    """One image of a DICOM file, uint8 (H, W, 3), RGB; `path` may name a frame, `scan.dcm#3`.

    `window` (`conf.schema.Dicom`) stands above what the file says. Raises `BadImage`.
    """
    named = FRAME.fullmatch(path.name)
    if not path.exists() and named:
        path, frame = path.with_name(named[1]), int(named[2])
    else:
        frame = 0
    header = read_header(path, max_pixels)
    with _reasons(path):
        return _rgb(pixel_array(path, index=frame), header, frame, window)


def read_header(path: Path, max_pixels: int) -> Dataset:
    """All but the pixels. Raises `BadImage` where it says that they cannot be had."""
    with _reasons(path):
        syntax = read_file_meta_info(path).TransferSyntaxUID
        if syntax == DeflatedExplicitVRLittleEndian:  # unpacked whole, whatever its size
            raise BadImage(path, f"{syntax.name} is not read: convert it (dcmconv +te in out)")
        header = dcmread(path, stop_before_pixels=True)
        if "Rows" not in header or "Columns" not in header:
            kind = header.get("SOPClassUID")
            raise BadImage(path, f"DICOM without pixels: {kind.name if kind else 'unknown class'}")
        if not get_decoder(syntax).is_available:
            raise BadImage(
                path,
                f"compressed as {syntax.name}, for which no decoder is installed: decompress it "
                "(gdcmconv --raw in out)",
            )
        if header.Rows * header.Columns > max_pixels:
            raise BadImage(path, too_large(f"{header.Columns} x {header.Rows}", max_pixels))
    return header


def describe(path: Path, header: Dataset) -> tuple[int, str]:
    """Number of frames, and SeriesInstanceUID or "". Raises `BadImage`."""
    with _reasons(path):
        series = str(header.get("SeriesInstanceUID") or "")
        return int(header.get("NumberOfFrames") or 1), series


def frames(path: Path, header: Dataset, window: Any = None) -> Iterator[np.ndarray]:
    """Every frame of the file, uint8 (H, W, 3), one at a time. Raises `BadImage`."""
    with _reasons(path):
        for number, stored in enumerate(iter_pixels(path)):
            yield _rgb(stored, header, number, window)


@contextmanager
def _reasons(path: Path) -> Iterator[None]:
    try:
        yield
    except (BadImage, GeneratorExit):
        raise
    except Exception as error:  # pydicom and its decoders raise nearly everything there is
        reason = " ".join((str(error) or type(error).__name__).split())
        if "no pixel data" in reason:
            raise BadImage(path, "DICOM without pixels, or cut off before them") from None
        raise BadImage(path, f"DICOM that cannot be decoded: {reason[:200]}") from None


def _rgb(stored: np.ndarray, header: Dataset, frame: int, window: Any) -> np.ndarray:
    """uint8 (H, W, 3) of the decoded values of one frame, (H, W) or (H, W, 3)."""
    kind = header.PhotometricInterpretation
    if kind == "PALETTE COLOR":
        colours = apply_color_lut(stored, header)[..., :3]
        return colours if colours.dtype == np.uint8 else (colours // 257).astype(np.uint8)
    if stored.ndim == 3:  # the decoder has turned YBR into RGB
        return _to_bytes(stored, 0, 2**header.BitsStored - 1)
    grey = _grey(stored, _of_frame(header, frame), window)
    if kind == "MONOCHROME1":  # the smallest value is white
        grey = 255 - grey
    return np.repeat(grey[:, :, None], 3, axis=2)


def _of_frame(header: Dataset, frame: int) -> Dataset:
    """A header with what the functional groups, shared or of one frame, say at its top."""
    flat = Dataset()
    flat.update(header)
    shared = header.get("SharedFunctionalGroupsSequence") or []
    own = header.get("PerFrameFunctionalGroupsSequence") or []
    for groups in (*shared, *own[frame : frame + 1]):
        for macro in MACROS:
            for item in groups.get(macro) or []:
                flat.update(item)
    return flat


def _grey(stored: np.ndarray, header: Dataset, window: Any) -> np.ndarray:
    """uint8 (H, W): rescaled, then windowed. `header` is changed."""
    if window is not None and window.width is not None:
        header.WindowCenter, header.WindowWidth = window.centre, window.width
        header.VOILUTFunction = "LINEAR"
        header.pop("VOILUTSequence", None)
    values = apply_modality_lut(stored, header)
    if header.get("WindowWidth") is not None and header.get("WindowCenter") is not None:
        ends = apply_windowing(np.array([-np.inf, np.inf]), header)
        return _to_bytes(apply_windowing(values, header), *ends)
    if table := header.get("VOILUTSequence"):
        entries, _, bits = table[0].LUTDescriptor
        if bits == 8 and entries not in range(1, 257):  # pydicom would wrap around at 256
            raise ValueError(f"a VOI LUT of 8 bits with {entries} entries is not read")
        highest = 2**bits - 1
        return _to_bytes(apply_voi(values.astype(np.int64), header), 0, highest)
    half = 2 ** (header.BitsStored - 1)
    lowest = -half if header.PixelRepresentation else 0
    ends = apply_modality_lut(np.array([lowest, lowest + 2 * half - 1]), header)
    return _to_bytes(values, *ends)


def _to_bytes(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """`values` as uint8, 0 at `low` and 255 at `high`."""
    with np.errstate(all="ignore"):
        share = (values.astype(np.float64) - low) / (high - low)
    if not np.isfinite(share).all():
        raise ValueError(f"values without a range: from {low} to {high}")
    return np.clip((255 * share).round(), 0, 255).astype(np.uint8)
