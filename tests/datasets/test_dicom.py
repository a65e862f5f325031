"""DICOM: the pixels that a radiologist sees, one cluster a series, and reasons for bad files."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, uid
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence

from conf.errors import UserError
from conf.schema import Dicom
from datasets.common.digests import measure_one
from datasets.common.images import BadImage, read_image
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


def shown(folder: Path, dataset: Dataset, window: Any = None) -> np.ndarray:
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


def report(dataset: Dataset) -> None:
    """Make a report of `dataset`, which has no pixels."""
    del dataset.PixelData, dataset.Rows
    dataset.SOPClassUID = uid.BasicTextSRStorage


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
    table = build(root).frame
    assert len(table) == 11 and table["sha256"].is_unique
    assert (table["width"].eq(48) & table["height"].eq(40)).all()
    volume = table[table["file"].str.contains("volume")]
    assert volume["file"].tolist() == [f"1_second/volume.dcm#{k}" for k in range(3)]
    numbers = table.set_index("file")["cluster"]
    assert numbers["0_first/IM0"] == numbers["0_first/IM1"] != numbers["0_first/IM2"]
    assert table["cluster"].nunique() == 5
    groups = table.set_index("file")["group"]
    assert groups["0_first/IM0"] == groups["0_first/IM1"] != groups["0_first/IM2"]
    assert groups.loc[volume["file"]].nunique() == 1
    for row in table.itertuples():
        assert read_image(Path(row.path), MAX_PIXELS).shape == (40, 48, 3)


def test_pictures_and_dicom_may_lie_side_by_side(root: Path) -> None:
    save(root / CLASSES[0] / "export.png", 5)
    assert len(build(root).frame) == 12


def test_another_window_is_other_data_and_an_old_answer_is_not_taken_for_it(root: Path) -> None:
    whole = build(root)
    soft = build(root, dicom=Dicom(60, 50))
    assert soft.digest != whole.digest
    assert not set(soft.frame["sha256"]) & set(whole.frame["sha256"])
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
