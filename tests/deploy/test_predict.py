"""What /predict answers to images is what the model of training answers."""

import base64
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image

from datasets.common.images import read_image
from models.common import PROBABILITIES, onnx_predict
from tests.common import ROOT
from tests.deploy.common import LIMITS, MODEL, SIDE, Trained, encoded, frame, odd_images

TOLERANCE = 1e-3
"""Largest difference to Keras that counts as the same function, on another engine."""
REAL_IMAGES = 6


def keras_probabilities(trained: Trained, content: bytes, folder: Path) -> np.ndarray:
    """(classes,) by the pipeline's own reader and model."""
    path = folder / "image"
    path.write_bytes(content)
    pixels = read_image(path, 10**8, size=SIDE)[None]
    ours = trained.keras.predict(pixels, verbose=0)[0]
    theirs = onnx_predict(trained.onnx, pixels)[PROBABILITIES][0]
    np.testing.assert_allclose(theirs, ours, atol=TOLERANCE)
    return ours


def predictions(response: requests.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    return response.json()["predictions"]


def assert_same(answer: dict[str, Any], expected: np.ndarray) -> None:
    given = list(answer["probabilities"].values())
    np.testing.assert_allclose(given, expected, atol=TOLERANCE)
    assert answer["label"] == list(answer["probabilities"])[int(np.argmax(expected))]


@pytest.mark.parametrize("kind", odd_images())
def test_every_kind_of_image_gets_the_probabilities_of_keras(
    kind: str, service: str, trained: Trained, tmp_path: Path
) -> None:
    content = odd_images()[kind]
    sent = requests.post(f"{service}/predict", files={"image": content})
    [answer] = predictions(sent)
    assert_same(answer, keras_probabilities(trained, content, tmp_path))


def test_frames_of_all_classes_get_different_answers_and_those_of_keras(
    service: str, trained: Trained, frames: list[bytes], tmp_path: Path
) -> None:
    answers = [
        predictions(requests.post(f"{service}/predict", files={"image": content}))[0]
        for content in frames
    ]
    for answer, content in zip(answers, frames, strict=True):
        assert_same(answer, keras_probabilities(trained, content, tmp_path))
    rows = np.array([list(answer["probabilities"].values()) for answer in answers])
    assert (np.ptp(rows, axis=0) > 10 * TOLERANCE).any()  # else parity would prove nothing


def test_real_images_get_the_probabilities_of_keras(
    service: str, trained: Trained, data_root: Path, tmp_path: Path
) -> None:
    found = sorted(data_root.rglob("*.jpg"))
    if not found:
        pytest.skip(f"there is no .jpg below {data_root}")
    for path in found[:: max(1, len(found) // REAL_IMAGES)][:REAL_IMAGES]:
        content = path.read_bytes()
        with Image.open(path) as image:
            if image.width * image.height > LIMITS["MAX_PIXELS"]:
                content = encoded(image.convert("RGB").resize((640, 480)), "JPEG")
        if len(content) > LIMITS["MAX_BYTES"] // 2:
            continue
        [answer] = predictions(requests.post(f"{service}/predict", files={"image": content}))
        assert_same(answer, keras_probabilities(trained, content, tmp_path))


def test_three_ways_to_send_an_image_give_one_answer(service: str, frames: list[bytes]) -> None:
    url, content = f"{service}/predict", frames[2]
    text = base64.b64encode(content).decode()
    answers = [
        requests.post(url, files={"image": ("a.txt", content, "text/plain")}),
        requests.post(url, data=content, headers={"Content-Type": "image/jpeg"}),
        requests.post(url, json={"image": text}),
        requests.post(url, json={"image": f"data:image/png;base64,{text}"}),
    ]
    first = predictions(answers[0])
    assert all(predictions(answer) == first for answer in answers)


def test_several_images_in_one_request_are_answered_in_order(
    service: str, frames: list[bytes]
) -> None:
    url = f"{service}/predict"
    single = [
        predictions(requests.post(url, files={"image": frame}))[0]["probabilities"]
        for frame in frames[:3]
    ]
    several = requests.post(url, files=[("image", frame) for frame in frames[:3]])
    listed = requests.post(
        url, json={"image": [base64.b64encode(frame).decode() for frame in frames[:3]]}
    )
    for response in (several, listed):
        for ours, theirs in zip(single, predictions(response), strict=True):
            assert theirs["probabilities"] == pytest.approx(ours, abs=1e-5)


def test_the_answer_names_model_version_and_run(
    service: str, trained: Trained, frames: list[bytes]
) -> None:
    answer = requests.post(f"{service}/predict", files={"image": frames[0]}).json()
    assert answer["model"] == {"name": MODEL, "version": "1", "run_id": trained.run_id}
    served = requests.get(f"{service}/model").json()
    assert answer["model"].items() <= served.items()
    assert (served["git_revision"], served["data_digest"]) == ("a" * 40, "d" * 64)
    assert served["promotion"] == {"how": "none"}
    card = requests.get(f"{service}/card")
    assert served["card"] and card.headers["Content-Type"].startswith("text/html")
    assert "<h1>A card</h1>" in card.text and "license" not in card.text
    assert "&lt;b&gt;Not" in card.text, "HTML of a card is text"
    assert answer["milliseconds"] > 0
    assert "overlay" not in answer["predictions"][0]


def test_explain_gives_an_overlay_of_the_images_shape(service: str) -> None:
    content = encoded(frame(2, 5).resize((800, 400)))
    [answer] = predictions(
        requests.post(f"{service}/predict?explain=true", files={"image": content})
    )
    with Image.open(io.BytesIO(base64.b64decode(answer["overlay"]))) as overlay:
        assert overlay.format == "PNG"
        assert overlay.mode == "RGBA"
        assert overlay.size == (512, 256)
        assert (answer["width"], answer["height"]) == (800, 400)


CONNECTS_NOWHERE = """
import sys
from pathlib import Path
def refuse(event, arguments):
    if event == "socket.connect":
        sys.exit(f"connects to {arguments[1]}")
sys.addaudithook(refuse)
import deploy.serving.images.service, deploy.serving.images.engine
deploy.serving.images.engine.Engine(Path(sys.argv[1]), 1).warm_up()
found = {"tensorflow", "keras", "mlflow", "torch", "onnxruntime"} & set(sys.modules)
sys.exit(f"imported: {found}" if found else 0)
"""


def test_the_service_imports_neither_tensorflow_nor_mlflow_and_reports_to_nobody(
    trained: Trained,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CONNECTS_NOWHERE, trained.onnx],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
