"""DICOM has one answer, by whatever way it comes, and nobody learns whose it is."""

import base64
import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image
from pydicom import Dataset, uid
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from datasets.common.images import Window, read_image
from deploy.serving.http.limits import Limits
from deploy.serving.http.refusals import Refused
from deploy.serving.http.servable import Facts
from deploy.serving.images.classifier import Classifier
from deploy.serving.images.engine import Engine
from tests.common import configuration
from tests.datasets.test_dicom import CT, dicom
from tests.deploy.common import (
    LIMITS,
    SIDE,
    WINDOW,
    Trained,
    dicom_bytes,
    encoded,
    frame,
    run_script,
)
from tests.deploy.test_predict import TOLERANCE, assert_same, predictions
from train.jobs.image_prediction import frames as frames_of

CANARY = "ZWQX-Canario"


def grey(label: int, depth: int = 16) -> np.ndarray:
    """A frame as 12 bits that a CT of 16 stores, or as 8 bits."""
    values = np.asarray(frame(label, 5).resize((200, 150)).convert("L"))
    return values if depth == 8 else values.astype(np.uint16) * 5 + 300


def compressed(form: str, syntax: str, **options: Any) -> Dataset:
    """8 bits of grey, compressed by Pillow."""
    values = grey(2, 8)
    dataset = dicom(values)
    dataset.file_meta.TransferSyntaxUID = uid.UID(syntax)
    dataset.PixelData = encapsulate([encoded(Image.fromarray(values), form, **options)])
    return dataset


def rle() -> Dataset:
    dataset = dicom(grey(3), 12, **CT)
    dataset.compress(uid.RLELossless)
    return dataset


KINDS = {
    "a window of its own, and that of the run": dicom(
        grey(0), 12, **CT, WindowCenter=300, WindowWidth=90
    ),
    "no window of its own": dicom(grey(1), 12, **CT),
    "white where little was absorbed": dicom(
        grey(1), 12, **CT, PhotometricInterpretation="MONOCHROME1"
    ),
    "colour": dicom(np.asarray(frame(2, 5).resize((200, 150)))),
    "three frames": dicom(np.stack([grey(label) for label in (0, 2, 3)]), 12, **CT),
    "run lengths": rle(),
    "JPEG": compressed("JPEG", uid.JPEGBaseline8Bit),
    "JPEG 2000": compressed("JPEG2000", uid.JPEG2000Lossless, no_jp2=True),
}


def contents() -> dict[str, bytes]:
    return {kind: dicom_bytes(dataset) for kind, dataset in KINDS.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dicom")
    for kind, content in contents().items():
        (root / kind).write_bytes(content)
    return root


def seen_in_training(path: Path) -> np.ndarray:
    """uint8 (frames, S, S, 3) by the reader of training, frame by frame."""
    count = int(KINDS[path.name].get("NumberOfFrames") or 1)
    names = [path] if count == 1 else [Path(f"{path}#{number}") for number in range(count)]
    return np.stack([read_image(name, 10**6, Window(*WINDOW), SIDE) for name in names])


def expected(trained: Trained, path: Path) -> np.ndarray:
    return Engine(trained.onnx, 1).run(seen_in_training(path)).probabilities


@pytest.mark.parametrize("kind", KINDS)
def test_the_service_answers_each_frame_as_the_model_of_training(
    kind: str, folder: Path, service: str, trained: Trained
) -> None:
    content = (folder / kind).read_bytes()
    url, rows = f"{service}/predict", expected(trained, folder / kind)
    sent = [
        requests.post(url, files={"image": ("IM1", content, "application/dicom")}),
        requests.post(url, data=content, headers={"Content-Type": "application/dicom"}),
        requests.post(url, data=content, headers={"Content-Type": "application/octet-stream"}),
        requests.post(url, json={"image": base64.b64encode(content).decode()}),
    ]
    for response in sent:
        answers = predictions(response)
        for number, (answer, row) in enumerate(zip(answers, rows, strict=True)):
            assert_same(answer, row)
            assert (answer["width"], answer["height"]) == (200, 150)
            assert answer.get("frame") == (number if len(rows) > 1 else None)


def test_the_window_of_the_run_matters(folder: Path, trained: Trained) -> None:
    path = folder / "a window of its own, and that of the run"
    own = read_image(path, 10**6, None, SIDE)[None]
    assert np.abs(own - seen_in_training(path).astype(int)).mean() > 20
    own = Engine(trained.onnx, 1).run(own).probabilities
    assert np.abs(own - expected(trained, path)).max() > 10 * TOLERANCE


@pytest.mark.slow
def test_the_command_line_and_batch_scoring_have_a_row_a_frame(
    folder: Path, trained: Trained
) -> None:
    done = run_script(trained, "deploy/predict.py", str(folder))
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert len(rows) == len(KINDS) + 2
    for kind in KINDS:
        found = [row for row in rows if row["file"] == kind]
        several = len(found) > 1
        numbers = [str(n) for n in range(len(found))] if several else [""]
        assert [row["frame"] for row in found] == numbers
        labels = configuration("+pipeline=train_resnet50v2ft").dataset.classes
        given = np.array([[float(row[label]) for label in labels] for row in found])
        np.testing.assert_allclose(given, expected(trained, folder / kind), atol=TOLERANCE)
        scored = frames_of(folder / kind, SIDE, Window(*WINDOW), 10**6)
        assert len(scored) == len(found)
        pixels = np.stack(scored)
        np.testing.assert_array_equal(pixels, seen_in_training(folder / kind))
    table = run_script(trained, "deploy/predict.py", str(folder / "three frames"))
    assert table.returncode == 0, table.stderr
    assert [line for line in table.stdout.splitlines() if "frame" in line] == [
        "frame 0",
        "frame 1",
        "frame 2",
    ]


def test_a_preview_is_what_the_model_saw(folder: Path, service: str) -> None:
    content = (folder / "three frames").read_bytes()
    url = f"{service}/predict?preview=true&explain=true"
    answers = predictions(requests.post(url, files={"image": content}))
    for answer, pixels in zip(answers, seen_in_training(folder / "three frames"), strict=True):
        with Image.open(io.BytesIO(base64.b64decode(answer["preview"]))) as preview:
            assert (preview.format, preview.mode, preview.size) == ("PNG", "RGB", (200, 150))
            again = np.asarray(preview.resize((SIDE, SIDE))).astype(int)
        assert np.abs(again - pixels).mean() < 3
        with Image.open(io.BytesIO(base64.b64decode(answer["overlay"]))) as overlay:
            assert overlay.size == (200, 150)
    [plain] = predictions(
        requests.post(f"{service}/predict", files={"image": encoded(frame(1, 1))})
    )
    assert "preview" not in plain


def test_more_frames_than_images_are_taken_are_refused(service: str) -> None:
    values = np.zeros((LIMITS["MAX_IMAGES"] + 1, 10, 10), np.uint16)
    sent = requests.post(f"{service}/predict", files={"image": dicom_bytes(dicom(values))})
    assert (sent.status_code, sent.json()["error"]) == (413, "too_many_images")
    assert "frames of DICOM included" in sent.json()["message"]


def test_a_model_that_does_not_know_its_window_takes_no_dicom(trained: Trained) -> None:
    facts = Facts("old", "1", "run", ("a", "b", "c", "d"))
    classifier = Classifier(facts, trained.onnx.parent, Limits())
    classifier.load()
    assert classifier.classify([encoded(frame(1, 1))])
    with pytest.raises(Refused, match=r"old version 1: its training did not note the window"):
        classifier.classify([contents()["JPEG"]])


@pytest.mark.slow
def test_nothing_about_the_patient_is_answered_or_logged(
    service: str, trained: Trained, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    inner = Dataset()
    inner.PatientComments = f"{CANARY}-inner"
    named: dict[str, Any] = {
        "PatientName": f"{CANARY}^Ana",
        "PatientID": f"{CANARY}-1",
        "PatientBirthDate": CANARY,  # no date: pydicom would quote it in a warning
        "PatientAge": f"{CANARY}-age-that-is-far-too-long",
        "InstitutionName": CANARY,
        "StudyInstanceUID": f"{CANARY}.1",
        "SeriesInstanceUID": f"{CANARY}.2",
        "RequestAttributesSequence": Sequence([inner]),
    }
    good = dicom_bytes(dicom(grey(1), 12, **CT, **named))
    assert good.count(CANARY.encode()) == len(named)
    report = dicom(grey(1), **named)
    del report.PixelData
    torn, no_pixels = good[: len(good) - 9000], dicom_bytes(report)
    seen = []
    for content in (good, torn, no_pixels, good[:400], good[:700]):
        url = f"{service}/predict?explain=true&preview=true"
        sent = requests.post(url, files={"image": (f"{CANARY}.dcm", content)})
        assert sent.status_code in (200, 422)
        seen += [sent.text, str(sent.headers)]
        file = tmp_path / "a.dcm"
        file.write_bytes(content)
        done = run_script(trained, "deploy/predict.py", str(file))
        seen += [done.stdout, done.stderr]
    for path in ("/metrics", "/model", "/docs.json"):
        seen.append(requests.get(service + path).text)
    logs = list(tmp_path_factory.getbasetemp().glob("serve*/serve.log"))
    assert logs
    seen += [log.read_text() for log in logs]
    assert not [text for text in seen if CANARY in text or "ZWQX" in text]
    stored = Path(trained.environment["BENTOML_HOME"])
    for file in (path for path in stored.rglob("*") if path.is_file()):
        assert CANARY.encode() not in file.read_bytes(), file
