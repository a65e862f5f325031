"""What a service refuses by the header, and that its reader needs nothing of the project."""

import subprocess
import sys

import numpy as np
import pytest

from datasets.common.images import BadImage, Kind
from deploy.serving.http.limits import Limits
from deploy.serving.http.refusals import Refused
from deploy.serving.images.decode import ITEMS, MOST_ITEMS, REFUSALS, decode, headers, refusal
from tests.common import ROOT
from tests.datasets.test_dicom import dicom
from tests.deploy.common import dicom_bytes, encoded, frame

ALONE = """
import sys
from datasets.common.images import dicom, read
import deploy.serving.images.service
theirs = {"conf", "models", "train", "pandas", "omegaconf", "hydra", "scipy", "imagehash", "mlflow"}
ours = {n for n in sys.modules if n.split(".")[0] == "datasets"}
print(sorted(theirs & {n.split(".")[0] for n in sys.modules}))
print(sorted(n for n in ours if not "datasets.common.images.".startswith(n + ".")
             and not n.startswith("datasets.common.images.")))
"""


def test_the_reader_brings_nothing_of_the_project_with_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[]", "[]"]


def test_every_kind_of_bad_content_has_an_answer() -> None:
    kinds = set(Kind) - {Kind.UNREADABLE}  # a service reads no files
    assert set(REFUSALS) == kinds
    for kind in kinds:
        assert 400 <= refusal(BadImage(kind, "why")).status < 500


def volume(frames: int, side: int = 10) -> bytes:
    return dicom_bytes(dicom(np.zeros((frames, side, side), np.uint16)))


def test_frames_count_as_images_before_anything_is_decoded() -> None:
    limits = Limits(max_images=4)
    assert [known.frames for known in headers([volume(3), encoded(frame(0, 1))], limits)] == [3, 1]
    with pytest.raises(Refused, match="5 images, frames of DICOM included, are more than 4"):
        headers([volume(3), volume(2)], limits)


def test_the_pixels_of_all_frames_count() -> None:
    limits = Limits(max_pixels=300)
    assert headers([volume(3)], limits)[0].pixels == 300
    with pytest.raises(Refused, match=r"image 2 of 2: 10 x 10 x 4 frames are more than 300"):
        headers([volume(3), volume(4)], limits)


def test_a_header_of_endless_items_is_refused_before_they_are_read() -> None:
    content = dicom_bytes(dicom(np.zeros((10, 10), np.uint16)))
    at = content.index(b"\xe0\x7f\x10\0")
    items = b"\x00\x52\x30\x92SQ\0\0\xff\xff\xff\xff" + (ITEMS[0] + b"\0\0\0\0") * (MOST_ITEMS + 1)
    end = b"\xfe\xff\xdd\xe0\0\0\0\0"
    with pytest.raises(Refused, match="more than 20000 items"):
        headers([content[:at] + items + end + content[at:]], Limits())


def test_a_header_that_promises_more_than_the_file_holds_is_refused() -> None:
    dataset = dicom(np.zeros((2, 10, 10), np.uint16))
    dataset.NumberOfFrames = 10**9
    content = dicom_bytes(dataset)
    with pytest.raises(Refused, match="1000000000 frames are more than"):
        headers([content], Limits())
    with pytest.raises(Refused) as refused:
        decode(content, 10**6, 16)
    assert refused.value.status == 422
