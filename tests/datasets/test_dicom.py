"""DICOM: the pixels a radiologist sees, one series a cluster, and a reason for what has none."""

import io
import struct
import subprocess
import sys
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
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from conf.errors import UserError
from conf.schema import Dicom
from datasets.common.digests import measure_one
from datasets.common.images import BadImage, header, read, read_image
from datasets.common.sources import load
from tests.common import ROOT
from tests.datasets.common import CLASSES, config, picture, save

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

MAX_PIXELS = 1_000_000
RAMP = np.arange(0, 4096, 4, dtype=np.uint16).reshape(32, 32)
"""All of 12 bits, in steps of 4."""
SERIES = "1.2.826.0.1.3680043.8.498.1"


def dicom(pixels: np.ndarray, bits: int = 16, **elements: Any) -> Dataset:
    """An image object of `pixels`, (H, W), (H, W, 3) or (frames, H, W), `bits` of them used."""
    colour = pixels.ndim == 3 and pixels.shape[2] == 3
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = uid.CTImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid.generate_uid()
    dataset.SeriesInstanceUID = SERIES
    dataset.SamplesPerPixel = 3 if colour else 1
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        dataset.PlanarConfiguration = 0
    elif pixels.ndim == 3:
        dataset.NumberOfFrames = len(pixels)
    dataset.Rows, dataset.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    dataset.BitsAllocated = 8 * pixels.dtype.itemsize
    dataset.BitsStored = min(bits, dataset.BitsAllocated)
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(dataset, name, value)
    return dataset


def write(path: Path, dataset: Dataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def shown(folder: Path, dataset: Dataset, window: Dicom | None = None) -> np.ndarray:
    return read_image(write(folder / "a.dcm", dataset), MAX_PIXELS, window)


def windowed(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """PS3.3, C.11.2.1.2.1, by another road than the reader's."""
    low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    return np.round(np.interp(values, [low, high], [0, 255]))


CT = {"RescaleSlope": 2, "RescaleIntercept": -1024}
WINDOWS: dict[str, tuple[dict[str, Any], Dicom | None, np.ndarray]] = {
    # what: (elements of the file, the window of the settings, the grey levels expected)
    "the full range where nothing is said": ({}, None, np.round(RAMP / 4095 * 255)),
    "the file's window, in rescaled units": (
        CT | {"WindowCenter": 40, "WindowWidth": 400}, None, windowed(2.0 * RAMP - 1024, 40, 400)),
    "the first of the file's windows": (
        CT | {"WindowCenter": [300, 40], "WindowWidth": [900, 400]}, None,
        windowed(2.0 * RAMP - 1024, 300, 900)),
    "the window of the settings": (
        CT | {"WindowCenter": 40, "WindowWidth": 400}, Dicom(600, 2000),
        windowed(2.0 * RAMP - 1024, 600, 2000)),
    "settings without a window": (
        CT | {"WindowCenter": 40, "WindowWidth": 400}, Dicom(),
        windowed(2.0 * RAMP - 1024, 40, 400)),
    "white where little was absorbed": (
        {"PhotometricInterpretation": "MONOCHROME1"}, None, 255 - np.round(RAMP / 4095 * 255)),
}  # fmt: skip


@pytest.mark.parametrize("what", WINDOWS)
def test_grey_is_rescaled_and_seen_through(what: str, tmp_path: Path) -> None:
    elements, window, expected = WINDOWS[what]
    pixels = shown(tmp_path, dicom(RAMP, bits=12, **elements), window)
    assert pixels.shape == (32, 32, 3) and pixels.dtype == np.uint8
    assert np.ptp(expected) > 200
    for channel in range(3):
        assert np.abs(pixels[..., channel] - expected).max() <= 1  # halves round either way


def test_signed_values_keep_their_sign(tmp_path: Path) -> None:
    values = np.linspace(-1000, 1000, 1024, dtype=np.int16).reshape(32, 32)
    pixels = shown(tmp_path, dicom(values, WindowCenter=0, WindowWidth=2000))
    assert np.abs(pixels[..., 0] - windowed(values, 0, 2000)).max() <= 1


def test_a_table_of_grey_values_is_looked_up(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.LUTData = (65535 - np.arange(4096) * 16).astype(np.uint16).tolist()
    table["LUTData"].VR = "US"
    pixels = shown(tmp_path, dicom(RAMP, bits=12, VOILUTSequence=Sequence([table])))
    assert np.abs(pixels[..., 0] - (255 - RAMP / 4096 * 255)).max() <= 1


def test_colours_stay_what_they_are(tmp_path: Path) -> None:
    colours = picture(1)
    assert np.array_equal(shown(tmp_path, dicom(colours)), colours)
    assert np.array_equal(shown(tmp_path, dicom(colours), Dicom(40, 400)), colours)


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    names = ("Red", "Green", "Blue")
    tables = np.random.default_rng(0).integers(0, 256, (3, 256), dtype=np.uint8)
    elements: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, values in zip(names, tables, strict=True):
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        elements[f"{name}PaletteColorLookupTableData"] = (values.astype("<u2") * 257).tobytes()
    index = picture(2)[..., 0]
    pixels = shown(tmp_path, dicom(index, **elements))
    assert np.array_equal(pixels, tables.T[index])


def test_compressed_pixels_are_decoded(tmp_path: Path) -> None:
    grey = picture(3)[..., 0]
    dataset = dicom(grey)
    dataset.compress(uid.RLELossless)
    assert np.array_equal(shown(tmp_path, dataset)[..., 0], grey)


def test_each_frame_is_rescaled_by_its_own_group(tmp_path: Path) -> None:
    def item(**elements: Any) -> Sequence:
        inner = Dataset()
        for name, value in elements.items():
            setattr(inner, name, value)
        return Sequence([inner])

    frames = np.stack([RAMP, RAMP])
    dataset = dicom(frames, bits=12)
    dataset.SharedFunctionalGroupsSequence = item(
        FrameVOILUTSequence=item(WindowCenter=40, WindowWidth=400)
    )
    groups = [
        item(PixelValueTransformationSequence=item(RescaleSlope=1, RescaleIntercept=i))[0]
        for i in (-1024, -2048)
    ]
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    path = write(tmp_path / "a.dcm", dataset)
    for frame, intercept in enumerate((-1024, -2048)):
        pixels = read_image(tmp_path / f"a.dcm#{frame}", MAX_PIXELS)
        expected = windowed(RAMP.astype(float) + intercept, 40, 400)
        assert np.abs(pixels[..., 0] - expected).max() <= 1
    first = read_image(path, MAX_PIXELS)
    assert np.array_equal(first, read_image(tmp_path / "a.dcm#0", MAX_PIXELS))
    with pytest.raises(BadImage, match="cannot be decoded"):
        read_image(tmp_path / "a.dcm#2", MAX_PIXELS)


def without_pixels(dataset: Dataset) -> None:
    del dataset.PixelData


def report(dataset: Dataset) -> None:
    del dataset.PixelData, dataset.Rows
    dataset.SOPClassUID = uid.BasicTextSRStorage


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


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two series a class, two slices each, and one file of three frames."""
    for label, name in enumerate(CLASSES):
        for number in range(4):
            grey = picture(100 * label + number)[..., 0]
            series = f"{SERIES}.{label}.{number // 2}"
            write(tmp_path / "set" / name / f"IM{number}", dicom(grey, SeriesInstanceUID=series))
    frames = np.stack([picture(900 + k)[..., 0] for k in range(3)])
    volume = dicom(frames)
    del volume.SeriesInstanceUID
    write(tmp_path / "set" / CLASSES[1] / "volume.dcm", volume)
    (tmp_path / "set" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    return tmp_path / "set"


def build(root: Path, **values: Any):
    settings = config(path=str(root), **values)
    return load(settings, root.parent / "cache", lambda *_: picture(0))


def test_a_series_is_one_cluster_and_each_frame_one_image(root: Path) -> None:
    table = build(root).table
    assert len(table) == 11 and table["sha256"].is_unique
    assert (table["width"].eq(48) & table["height"].eq(40)).all()
    volume = table[table["file"].str.contains("volume")]
    assert volume["file"].tolist() == [f"1_second/volume.dcm#{k}" for k in range(3)]
    numbers = table.set_index("file")["cluster"]
    assert numbers["0_first/IM0"] == numbers["0_first/IM1"] != numbers["0_first/IM2"]
    assert table["cluster"].nunique() == 5
    for row in table.itertuples():
        assert read_image(Path(row.path), MAX_PIXELS).shape == (40, 48, 3)


def test_pictures_and_dicom_may_lie_side_by_side(root: Path) -> None:
    save(root / CLASSES[0] / "export.png", 5)
    assert len(build(root).table) == 12


def test_another_window_is_other_data_and_an_old_answer_is_not_taken_for_it(root: Path) -> None:
    whole = build(root)
    soft = build(root, dicom=Dicom(60, 50))
    assert soft.digest != whole.digest
    assert not set(soft.table["sha256"]) & set(whole.table["sha256"])
    assert build(root).digest == whole.digest


def test_what_cannot_be_read_is_quarantined_with_its_reason(root: Path) -> None:
    bad = dicom(RAMP)
    report(bad)
    write(root / CLASSES[0] / "report.dcm", bad)
    torn = dicom(np.stack([RAMP] * 3))
    path = write(root / CLASSES[0] / "torn.dcm", torn)
    path.write_bytes(path.read_bytes()[:-100])
    reasons = build(root, max_bad_share=0.5).quarantined.set_index("file")["reason"]
    assert set(reasons.index) == {"0_first/report.dcm", "0_first/torn.dcm"}
    assert "DICOM without pixels: Basic Text SR" in reasons["0_first/report.dcm"]


@pytest.mark.parametrize("window", [Dicom(40, None), Dicom(None, 400), Dicom(40, 0.5)])
def test_half_a_window_is_refused(window: Dicom, root: Path) -> None:
    with pytest.raises(UserError, match=r"dataset\.dicom\.centre=.*give both"):
        build(root, dicom=window)


def test_a_file_of_frames_that_it_does_not_hold_is_bad_as_a_whole(tmp_path: Path) -> None:
    dataset = dicom(np.stack([RAMP] * 2))
    dataset.NumberOfFrames = 10**9
    [answer] = measure_one(write(tmp_path / "a.dcm", dataset), MAX_PIXELS)
    assert answer.reason


def test_a_plain_picture_never_loads_pydicom(tmp_path: Path) -> None:
    Image.fromarray(picture(1)).save(tmp_path / "a.png")
    code = (
        "import sys; from pathlib import Path; from datasets.common.digests import measure_one\n"
        "assert not measure_one(Path(sys.argv[1]), 10**6)[0].reason\n"
        "sys.exit('pydicom' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], cwd=ROOT)
    assert done.returncode == 0
