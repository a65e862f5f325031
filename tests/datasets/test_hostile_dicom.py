"""DICOM that is broken or malicious gets a reason and takes little memory."""

import io
import struct
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import Dataset, uid
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from datasets.common.digests import measure_one
from datasets.common.images import BadImage, header, read, read_image
from tests.datasets.common import picture
from tests.datasets.test_dicom import (
    CT,
    MAX_PIXELS,
    RAMP,
    SERIES,
    dicom,
    report,
    shown,
    write,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def without_pixels(dataset: Dataset) -> None:
    del dataset.PixelData


def no_decoder(dataset: Dataset) -> None:
    dataset.file_meta.TransferSyntaxUID = uid.JPEGLSLossless
    dataset.PixelData = encapsulate([b"\xff\xd8\xff\xf7" + b"\0" * 60])


def broken_jpeg(dataset: Dataset) -> None:
    dataset.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    dataset.PixelData = encapsulate([b"\xff\xd8\xff\xc0" + b"\0" * 60])


def deflated(dataset: Dataset) -> None:
    dataset.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian


def huge(dataset: Dataset) -> None:
    dataset.Rows = dataset.Columns = 60_000


def odd(dataset: Dataset) -> None:
    dataset.PhotometricInterpretation = "CIELAB"


def narrow(dataset: Dataset) -> None:
    dataset.WindowCenter, dataset.WindowWidth = 40, 0


def flat(dataset: Dataset) -> None:
    dataset.RescaleSlope, dataset.RescaleIntercept = 0, 7


def wrapping(dataset: Dataset) -> None:
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 8]
    table.LUTData = np.zeros(4096, np.uint16).tolist()
    table["LUTData"].VR = "US"
    dataset.VOILUTSequence = Sequence([table])


BAD = {
    without_pixels: "DICOM without pixels, or cut off before them",
    report: "DICOM without pixels: Basic Text SR",
    no_decoder: "compressed as JPEG-LS Lossless.*no decoder is installed: decompress it",
    broken_jpeg: "DICOM that cannot be decoded",
    deflated: "Deflated Explicit VR Little Endian is not read: convert it",
    huge: r"60000 x 60000: more than 1000000 pixels",
    odd: "Unknown .* 'Photometric Interpretation' value 'CIELAB'",
    narrow: "Window Width",
    flat: "values without a range: from 7",
    wrapping: "a VOI LUT of 8 bits with 4096 entries is not read",
}


@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
def test_what_gives_no_pixels_says_why(spoil: Any, tmp_path: Path) -> None:
    dataset = dicom(RAMP, bits=12)
    spoil(dataset)
    with pytest.raises(BadImage, match=BAD[spoil]):
        shown(tmp_path, dataset)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.98])
def test_a_truncated_file_says_so(share: float, tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", dicom(RAMP, bits=12))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BadImage, match="DICOM"):
        read_image(path, MAX_PIXELS)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=12),
    st.floats(0, 1),
)
def test_corrupt_bytes_give_pixels_or_a_reason(
    tmp_path: Path, changes: list[tuple[float, int]], header: float
) -> None:
    path = write(tmp_path / "a.dcm", dicom(RAMP, bits=12, **CT, WindowCenter=40, WindowWidth=400))
    content = bytearray(path.read_bytes())
    start = len(content) - RAMP.nbytes if header < 0.8 else len(content)  # mostly the header
    for where, value in changes:
        content[132 + int(where * (start - 133))] = value
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for answer in measure_one(path, MAX_PIXELS):
            assert answer.reason or (answer.look and answer.width)


def test_files_of_real_scanners_and_broken_ones_give_pixels_or_a_reason() -> None:
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    files = [path for path in folder.rglob("*.dcm") if path.read_bytes()[128:132] == b"DICM"]
    answers = [answer for path in files for answer in measure_one(path, max_pixels=10**7)]
    assert sum(not answer.reason for answer in answers) > 100
    assert all(answer.reason or answer.width for answer in answers)


def content_of(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def test_a_header_is_known_without_the_pixels() -> None:
    content = content_of(dicom(np.stack([RAMP] * 3)))
    known = header(content[: len(content) - 3 * RAMP.nbytes])
    assert (known.format, known.width, known.height, known.frames) == ("DICOM", 32, 32, 3)
    assert known.pixels == 3 * 32 * 32
    assert SERIES not in repr(known)


BIG = 4000


def large_jpeg() -> Dataset:
    """A small image by its header, whose frame unpacks to 16 million pixels."""
    dataset = dicom(picture(3)[..., 0])
    dataset.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    stream = io.BytesIO()
    Image.new("L", (BIG, BIG)).save(stream, "JPEG")
    dataset.PixelData = encapsulate([stream.getvalue()])
    return dataset


def large_runs() -> Dataset:
    """The same of run lengths: 128 bytes for every two."""
    dataset = dicom(picture(3)[..., 0])
    dataset.file_meta.TransferSyntaxUID = uid.RLELossless
    start = struct.pack("<16L", 1, 64, *[0] * 14)
    dataset.PixelData = encapsulate([start + b"\x81\0" * (BIG * BIG // 128)])
    return dataset


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (large_jpeg, rf"a frame of {BIG} x {BIG} in a file of 48 x 40"),
        (large_runs, "unpacks to more than Rows x Columns"),
    ],
)
def test_a_frame_larger_than_its_header_says_is_not_unpacked(make: Any, reason: str) -> None:
    content = content_of(make())
    list(read(content_of(dicom(picture(3)[..., 0])), MAX_PIXELS))  # all is imported
    tracemalloc.start()
    with pytest.raises(BadImage, match=reason):
        list(read(content, MAX_PIXELS))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * len(content) + 2**20 < BIG * BIG


def test_a_short_element_of_megabytes_is_not_unpacked() -> None:
    dataset = dicom(RAMP)
    dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian  # lengths of four bytes
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    content = content_of(dataset)
    at = content.index(b"\x28\0\x50\x10")
    values = b"1\\" * 2**20
    long = content[: at + 4] + struct.pack("<L", len(values)) + values + content[at + 10 :]
    assert header(content).width == 32
    tracemalloc.start()
    with pytest.raises(BadImage, match="WindowCenter of more than 4096 bytes"):
        header(long)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * len(long)
