r"""DICOM files to RGB: stored values, shown as on the screen of a radiologist.

```mermaid
flowchart LR
    S["stored values"] --> M["modality: slope and intercept, or table"]
    M -->|"such as Hounsfield units"| V["window: of the settings, else of the file, else all"]
    V --> P["photometric interpretation"] --> R["uint8 RGB"]
    H["header"] -.-> M & V & P
```

With slope \(s\), intercept \(i\), centre \(c\) and width \(w\), a stored value \(v\) becomes
\(x = s v + i\) and is shown as \(255 \big(\frac{x - (c - 0.5)}{w - 1} + 0.5\big)\), cut off at 0
and 255 (DICOM PS3.3, sections C.11.1 and C.11.2). Rescaling and window stand in the header of the
file, or, for each frame, in its functional groups.

Only the elements `TAGS` of the header are read. Patient data never becomes a value in memory, so no
message can contain it.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import pydicom.config
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.pixels import get_decoder, iter_pixels
from pydicom.pixels.processing import (
    apply_color_lut,
    apply_modality_lut,
    apply_voi,
    apply_windowing,
)
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from datasets.common.images.codestreams import PLUGINS
from datasets.common.images.decode import STRIP, rgb_array
from datasets.common.images.types import (
    BadImage,
    Kind,
    Picture,
    Window,
    check_pixels,
    reason_of,
)

MACROS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
"""Functional groups that hold slope and intercept, and window (PS3.3, section C.7.6.16.2)."""

SHORT = (
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration"),
    *("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "VOILUTFunction"),
    *("SOPClassUID", "SeriesInstanceUID"),
)
"""Elements of a few values each; megabytes in one would become gigabytes of numbers."""
LONGEST = 4096
"""Most bytes of such an element."""

TABLES = ("ModalityLUTSequence", "VOILUTSequence")
"""Sequences of tables of grey values."""
LARGEST_TABLE = 2**18
"""Most bytes of a table; the standard allows 65,536 entries of two bytes."""

TAGS: list[Any] = [
    *SHORT,
    *TABLES,
    *(
        f"{colour}PaletteColorLookupTable{part}"  # one in segments may unpack to gigabytes
        for colour in ("Red", "Green", "Blue")
        for part in ("Descriptor", "Data")
    ),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
]
"""Elements of the header that are read."""

# pydicom's messages quote values.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE


def read(
    file: BinaryIO,
    max_pixels: int,
    window: Window | None = None,
    size: int | None = None,
    indices: Iterable[int] | None = None,
) -> Iterator[Picture]:
    """The frames of `file`, or those of `indices`; see `datasets.common.images.read`."""
    header = read_header(file)
    check_pixels(header.Columns, header.Rows, max_pixels)
    numbers = range(frames(header)) if indices is None else list(indices)
    with _reasons():
        plugin = PLUGINS.get(header.file_meta.TransferSyntaxUID, "")
        stored = iter_pixels(file, indices=indices, decoding_plugin=plugin)
        for number, values in zip(numbers, stored, strict=False):
            shown = Image.fromarray(_shown(values, header, number, window))
            yield Picture(rgb_array(shown, size), *shown.size)


def read_header(file: BinaryIO) -> Dataset:
    """`TAGS` of the header. Raises `BadImage` if there are no pixels that can be decoded."""
    with _reasons():
        file.seek(0)
        read_preamble(file, force=False)
        syntax = UID(_read_file_meta_info(file).TransferSyntaxUID)
        if syntax == DeflatedExplicitVRLittleEndian:  # unpacked whole, whatever its size
            raise BadImage(
                Kind.FORMAT, f"{syntax.name} is not read: convert it (dcmconv +te in out)"
            )
        file.seek(0)
        header = dcmread(file, stop_before_pixels=True, specific_tags=TAGS)
        _check_lengths(header)
        if "Rows" not in header or "Columns" not in header:
            kind = UID(header.get("SOPClassUID") or "").name or "unknown class"
            raise BadImage(Kind.DAMAGED, f"DICOM without pixels: {kind}")
        if not get_decoder(syntax).is_available:
            raise BadImage(
                Kind.FORMAT,
                f"compressed as {syntax.name}, for which no decoder is installed: decompress it "
                "(gdcmconv --raw in out)",
            )
        if min(header.Rows, header.Columns, frames(header)) < 1:
            raise BadImage(Kind.DAMAGED, "DICOM without pixels: no row, column or frame")
        series(header)  # a broken value raises here
    return header


def frames(header: Dataset) -> int:
    """Number of frames."""
    return int(header.get("NumberOfFrames") or 1)


def series(header: Dataset) -> str:
    """SeriesInstanceUID, or ""."""
    return str(header.get("SeriesInstanceUID") or "")


@contextmanager
def _reasons() -> Iterator[None]:
    try:
        yield
    except (BadImage, GeneratorExit):
        raise
    except Exception as error:  # pydicom and its decoders raise nearly everything there is
        reason = reason_of(error)
        if "no pixel data" in reason:
            reason = "DICOM without pixels, or cut off before them"
            raise BadImage(Kind.DAMAGED, reason) from None
        raise BadImage(Kind.DAMAGED, f"DICOM that cannot be decoded: {reason}") from None


def _shown(stored: np.ndarray, header: Dataset, frame: int, window: Window | None) -> np.ndarray:
    """uint8 (H, W) or (H, W, 3) of the decoded values of one frame, as a screen shows them."""
    own = _of_frame(header, frame)
    rows = max(1, STRIP // max(1, stored.shape[1]))  # as floats they take eight times the memory
    strips = (stored[top : top + rows] for top in range(0, len(stored), rows))
    return np.concatenate([_strip(strip, own, window) for strip in strips])


def _strip(stored: np.ndarray, header: Dataset, window: Window | None) -> np.ndarray:
    kind = header.PhotometricInterpretation
    if kind == "PALETTE COLOR":
        colours = apply_color_lut(stored, header)[..., :3]
        return colours if colours.dtype == np.uint8 else (colours // 257).astype(np.uint8)
    if stored.ndim == 3:  # the decoder has turned YBR into RGB
        return _to_bytes(stored, 0, 2**header.BitsStored - 1)
    grey = _grey(stored, header, window)
    return 255 - grey if kind == "MONOCHROME1" else grey  # there the smallest value is white


def _of_frame(header: Dataset, frame: int) -> Dataset:
    """A header with the values of the functional groups, shared and of one frame, at its top."""
    flat = Dataset()
    flat.update(header)
    shared = header.get("SharedFunctionalGroupsSequence") or []
    own = header.get("PerFrameFunctionalGroupsSequence") or []
    for groups in (*shared, *own[frame : frame + 1]):
        for macro in MACROS:
            for item in groups.get(macro) or []:
                flat.update(item)
    _check_lengths(flat)
    return flat


def _check_lengths(header: Dataset) -> None:
    """Raise `ValueError` for an element that is too long for its name, before it is unpacked."""
    for name in SHORT:
        if _length(header, name) > LONGEST:
            raise ValueError(f"{name} of more than {LONGEST} bytes")
    for table in TABLES:
        for item in header.get(table) or []:
            if _length(item, "LUTData") > LARGEST_TABLE:
                raise ValueError(f"a table of more than {LARGEST_TABLE} bytes in {table}")


def _length(header: Dataset, name: str) -> int:
    element = header.get_item(name)
    return len(element.value or b"") if isinstance(element, RawDataElement) else 0


def _grey(stored: np.ndarray, header: Dataset, window: Window | None) -> np.ndarray:
    """uint8 (H, W): rescaled, then windowed. `header` is changed, in the same way at each call."""
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
