"""Every deployment of an image classifier answers as its model does, on a page of its own words.

What is the same code for all, such as the long list of refusals, is tested on the first alone.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import numpy as np
import pytest
import requests
from playwright.sync_api import Browser, expect
from pydicom import Dataset, uid
from pydicom.dataset import FileMetaDataset

from deploy.serving.images.engine import Engine
from deploy.serving.version import VERSION
from tests.common import deployments
from tests.deploy.browsing import ANSWER_MS
from tests.deploy.common import (
    FIRST,
    SIDE,
    Trained,
    deploy,
    dicom_bytes,
    encoded,
    frame,
    image_deployments,
    names,
    run_script,
)
from tests.deploy.conftest import logged, serving
from tests.deploy.test_gradcam import TOLERANCE as CAM_TOLERANCE
from tests.deploy.test_gradcam import autograd_cams
from tests.deploy.test_page import answered, choose
from tests.deploy.test_predict import TOLERANCE, assert_same, keras_probabilities, predictions


@dataclass(frozen=True)
class Deployed:
    """A deployment that answers at `address`, and images of each of its classes."""

    trained: Trained
    address: str
    images: list[bytes]
    names: dict[str, Any]


DEPLOYED = [
    pytest.param(name, marks=() if name == FIRST else pytest.mark.slow)
    for name in image_deployments()
]


@pytest.fixture(scope="module", params=DEPLOYED)
def deployed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    known = names(request.param)
    dataset = known["MODEL"].split("-")[1]
    images = [encoded(frame(label, 1, dataset)) for label in range(len(known["LABELS"]["en"]))]
    if request.param == FIRST:
        trained = request.getfixturevalue("trained")
        yield Deployed(trained, request.getfixturevalue("service"), images, known)
        return
    trained = logged(request.param, tmp_path_factory)
    with serving(trained, tmp_path_factory) as address:
        yield Deployed(trained, address, images, known)


def post(deployed: Deployed, content: bytes, query: str = "") -> dict[str, Any]:
    sent = requests.post(f"{deployed.address}/predict{query}", files={"image": content})
    return predictions(sent)[0]


def test_keras_onnx_and_http_give_the_same_probabilities(
    deployed: Deployed, tmp_path: Path
) -> None:
    answers = [post(deployed, content) for content in deployed.images]
    for answer, content in zip(answers, deployed.images, strict=True):
        assert_same(answer, keras_probabilities(deployed.trained, content, tmp_path))
    rows = np.array([list(answer["probabilities"].values()) for answer in answers])
    assert np.ptp(rows, axis=0).max() > 10 * TOLERANCE  # else parity would prove nothing


def test_the_command_line_gives_them_too(deployed: Deployed, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(deployed.images[0])
    arguments = ("deploy/predict.py", str(tmp_path), "--deployment", deployed.trained.deployment)
    done = run_script(deployed.trained, *arguments)
    assert done.returncode == 0, done.stderr
    header, row = (line.split(",") for line in done.stdout.splitlines())
    expected = post(deployed, deployed.images[0])
    given = dict(zip(header, row, strict=True))
    assert given["label"] == expected["label"]
    for label, probability in expected["probabilities"].items():
        assert float(given[label]) == pytest.approx(probability, abs=1e-5)


def test_the_heatmap_is_that_of_automatic_differentiation(deployed: Deployed) -> None:
    dataset = deployed.names["MODEL"].split("-")[1]
    drawn = [frame(label, 7, dataset).resize((SIDE, SIDE)) for label in range(2)]
    pixels = np.stack([np.asarray(image) for image in drawn])
    engine = Engine(deployed.trained.onnx, threads=1)
    for target in range(2):
        expected = autograd_cams(deployed.trained.keras, pixels, target)
        found = engine.head.grad_cam(engine.run(pixels)[1], np.full(2, target))
        np.testing.assert_allclose(found, expected, atol=CAM_TOLERANCE * max(expected.max(), 1e-6))
    assert post(deployed, deployed.images[0], "?explain=true")["overlay"]


def test_it_says_which_model_it_is_and_is_ready(deployed: Deployed) -> None:
    answer = requests.post(f"{deployed.address}/predict", files={"image": deployed.images[0]})
    expected = {"name": deployed.names["MODEL"], "version": "1"}
    assert answer.json()["model"] == expected | {"run_id": deployed.trained.run_id}
    for path in ("/livez", "/readyz", "/metrics"):
        assert requests.get(deployed.address + path).ok
    document = requests.get(f"{deployed.address}/docs.json").json()
    assert document["info"]["title"] == deployed.names["MODEL"]
    assert document["info"]["version"] == VERSION
    assert document["info"]["x-model"] == answer.json()["model"]


@pytest.mark.parametrize("name", ["sample-input.jpg", "sample-input.json"])
def test_the_sample_inputs_are_answered(name: str, deployed: Deployed) -> None:
    path = deploy(deployed.trained.deployment) / name
    kind = "application/json" if path.suffix == ".json" else "image/jpeg"
    url, headers = f"{deployed.address}/predict", {"Content-Type": kind}
    assert len(predictions(requests.post(url, data=path.read_bytes(), headers=headers))) == 1


def test_the_example_of_its_interface_is_the_sample_and_is_answered(deployed: Deployed) -> None:
    address = f"{deployed.address}/predict"
    document = requests.get(f"{deployed.address}/docs.json").json()
    taken = document["paths"]["/predict"]["post"]["requestBody"]["content"]
    sample = (deploy(deployed.trained.deployment) / "sample-input.jpg").read_bytes()

    example = taken["application/json"]["example"]
    assert base64.b64decode(example["image"]) == sample
    [by_json] = predictions(requests.post(address, json=example))

    where = urljoin(f"{deployed.address}/", taken["image/*"]["examples"]["sample"]["externalValue"])
    file = requests.get(where)
    assert file.content == sample
    assert file.headers["Content-Type"] == "image/jpeg"
    kind = {"Content-Type": file.headers["Content-Type"]}
    assert predictions(requests.post(address, data=file.content, headers=kind)) == [by_json]
    form = {"image": file.content}
    assert predictions(requests.post(address, files=form)) == [by_json]


def dicom_without_pixels() -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = uid.BasicTextSRStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid.generate_uid()
    return dicom_bytes(dataset)


REFUSED = {
    "nothing": (b"", 400, "empty"),
    "text": (b"not an image", 415, "not_an_image"),
    "half an image": (encoded(frame(0, 3), "JPEG")[:2000], 422, "undecodable"),
    "a DICOM without pixels": (dicom_without_pixels(), 422, "undecodable"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_bad_input_is_refused_with_a_reason(what: str, deployed: Deployed) -> None:
    content, status, code = REFUSED[what]
    response = requests.post(f"{deployed.address}/predict", files={"image": content})
    assert (response.status_code, response.json()["error"]) == (status, code)
    assert len(response.json()["message"]) > 10


def test_names_and_texts_are_complete_in_every_language(deployed: Deployed) -> None:
    model = requests.get(f"{deployed.address}/model").json()
    assert model["labels"] == deployed.names["LABELS"]
    assert set(model["labels"]) == set(model["texts"]) >= {"en", "es"}
    for language, labels in model["labels"].items():
        assert set(labels) == set(model["classes"])
        assert all(model["texts"][language][key] for key in ("title", "notice"))


@pytest.mark.slow
@pytest.mark.parametrize(("locale", "language"), [("en-GB", "en"), ("es-MX", "es")])
def test_its_page_has_its_own_title_notice_and_labels(
    deployed: Deployed, browser: Browser, locale: str, language: str, tmp_path: Path
) -> None:
    page = browser.new_context(locale=locale).new_page()
    page.goto(deployed.address)
    expect(page.locator("#model")).to_contain_text(deployed.names["MODEL"], timeout=ANSWER_MS)
    texts, labels = (deployed.names[name][language] for name in ("PAGE", "LABELS"))
    expect(page).to_have_title(texts["title"])
    expect(page.get_by_role("heading", level=1)).to_have_text(texts["title"])
    expect(page.get_by_role("note")).to_contain_text(texts["notice"])
    choose(page, deployed.images[-1])
    answered(page)
    assert set(page.locator(".name span:first-child").all_inner_texts()) == set(labels.values())
    expect(page.locator("#overlay")).to_be_visible()
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    page.context.close()


def test_deployments_of_one_dataset_call_its_classes_alike() -> None:
    called: dict[str, dict[str, Any]] = {}  # a Bento stands alone, so each has its own copy
    for deployment in image_deployments():
        known = names(deployment)
        _, dataset = known["MODEL"].split("-")
        assert called.setdefault(dataset, known["LABELS"]) == known["LABELS"], deployment
    assert len(called) < len(image_deployments())  # else nothing was compared


def test_the_best_model_of_endoscopy_can_be_served() -> None:
    assert "mobilenetv2ft/V1" in image_deployments()


def test_an_unknown_deployment_is_named_with_those_there_are(trained: Trained) -> None:
    for script in (["deploy/serve.py"], ["deploy/predict.py", "."]):
        done = run_script(trained, *script, "--deployment", "none/V1")
        assert done.returncode == 1 and "Traceback" not in done.stderr
        known = ", ".join(deployments())
        assert f"there is no deployment 'none/V1'; there is {known}" in done.stderr
