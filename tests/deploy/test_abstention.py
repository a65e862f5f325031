"""What a service with thresholds and a profile answers, and that an older model is served too."""

import io
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image
from playwright.sync_api import Browser, expect

from datasets.common.images import NOT_SURE, UNLIKE, verdicts
from deploy.drift import ALARM
from deploy.serving.http.limits import Limits
from deploy.serving.http.servable import Facts
from deploy.serving.images.classifier import Classifier
from models.common import UNLIKENESS, serving_model
from tests.deploy.browsing import ANSWER_MS, opening
from tests.deploy.common import SIDE, THRESHOLDS, Trained, counters, encoded, frame, run_script
from tests.deploy.conftest import logged, serving
from tests.deploy.test_page import choose

pytestmark = pytest.mark.slow

DEPLOYMENT = "mobilenetv2ft/V1"
MODEL = "mobilenetv2ft-kvasir4"
FLAT = encoded(Image.new("RGB", (SIDE, SIDE), (250, 250, 250)))
FRAMES = [encoded(frame(n % 4, n).resize((SIDE, SIDE))) for n in range(12)]
TOLERANCE = 1e-2


@pytest.fixture(scope="module")
def judging(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return logged(DEPLOYMENT, tmp_path_factory, judging=True)


@pytest.fixture(scope="module")
def judging_service(judging: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(judging, tmp_path_factory) as address:
        yield address


def answer(service: str, content: bytes) -> dict[str, Any]:
    response = requests.post(f"{service}/predict", files={"image": content})
    assert response.status_code == 200, response.text
    return response.json()["predictions"][0]


def expected(judging: Trained, content: bytes) -> dict[str, Any]:
    """By Keras: probabilities, unlikeness and the verdict."""
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))[None]
    found = serving_model(judging.keras, judging.reference).predict(pixels, verbose=0)
    names = ("0_normal", "1_ulcerative_colitis", "2_polyps", "3_esophagitis")
    given = found["probabilities"]
    (verdict,) = verdicts(THRESHOLDS, names, given, found[UNLIKENESS])
    return {"abstained": verdict.abstained, "reason": verdict.reason, "set": verdict.set}


def test_the_service_gives_the_verdict_of_keras_and_counts_it(
    judging_service: str, judging: Trained
) -> None:
    before = counters(judging_service)
    for reason in (UNLIKE, NOT_SURE):
        assert f'sonda_abstentions_total{{reason="{reason}"}}' in before
    reasons: Counter[str | None] = Counter()
    for content in [*FRAMES, FLAT]:
        found = answer(judging_service, content)
        assert {name: found[name] for name in ("abstained", "reason", "set")} == expected(
            judging, content
        )
        assert found["label"] == max(found["probabilities"], key=found["probabilities"].get)
        reasons[found["reason"]] += 1
    assert set(reasons) == {None, NOT_SURE, UNLIKE}  # else the test would prove little
    after = counters(judging_service)
    for reason in (UNLIKE, NOT_SURE):
        name = f'sonda_abstentions_total{{reason="{reason}"}}'
        assert after[name] - before[name] == reasons[reason]


def test_model_and_document_say_when_it_abstains(judging_service: str) -> None:
    known = requests.get(f"{judging_service}/model").json()["abstention"]
    assert known == json.loads(json.dumps(THRESHOLDS.metadata()))
    schemas = requests.get(f"{judging_service}/docs.json").json()["components"]["schemas"]
    prediction = schemas["Prediction"]
    assert {"abstained", "reason", "set"} <= set(prediction["required"])
    assert prediction["properties"]["reason"]["enum"] == [UNLIKE, NOT_SURE, None]


def test_an_older_model_is_served_and_says_that_it_never_abstains(
    service: str, frames: list[bytes]
) -> None:
    for content in (*frames, FLAT):
        found = answer(service, content)
        assert (found["abstained"], found["reason"], found["set"]) == (None, None, None)
    assert requests.get(f"{service}/model").json()["abstention"] is None


def test_a_threshold_without_its_output_is_not_served(trained: Trained) -> None:
    facts = Facts("old", "1", "run", ("a", "b", "c", "d"), None, THRESHOLDS.metadata())
    classifier = Classifier(facts, trained.onnx.parent, Limits())
    with pytest.raises(ValueError, match="its metadata belongs to another model"):
        classifier.load()


@pytest.mark.parametrize(
    ("locale", "unlike", "unsure"),
    [
        ("en-GB", "No prediction: this image is unlike the training images.", "is not sure"),
        ("es-MX", "Sin predicción: esta imagen no se parece a las de", "no está seguro"),
    ],
)
def test_the_page_says_first_that_there_is_no_prediction(
    browser: Browser, judging_service: str, judging: Trained, locale: str, unlike: str, unsure: str
) -> None:
    found = {expected(judging, content)["reason"]: content for content in (*FRAMES, FLAT)}

    def wait(page: Any) -> None:
        expect(page.locator("#model")).to_contain_text(MODEL, timeout=ANSWER_MS)

    with opening(browser, judging_service, wait) as open_it:
        page = open_it(locale)
        for content, text in ((FLAT, unlike), (found[NOT_SURE], unsure)):
            choose(page, content)
            expect(page.locator("#abstained")).to_contain_text(text, timeout=ANSWER_MS)
            expect(page.locator("#label")).to_be_hidden()
            assert page.locator("#bars li").count() == 4
            above = page.locator("#abstained").bounding_box()
            bars = page.locator("#bars").bounding_box()
            assert above and bars and above["y"] + above["height"] <= bars["y"]
        choose(page, found[None])
        expect(page.locator("#label")).to_be_visible(timeout=ANSWER_MS)
        expect(page.locator("#abstained")).to_be_hidden()
        expect(page.locator("#never")).to_be_hidden()


def test_the_page_says_of_an_older_model_that_it_never_abstains(
    browser: Browser, service: str
) -> None:
    def wait(page: Any) -> None:
        expect(page.locator("#model")).to_contain_text("version", timeout=ANSWER_MS)

    with opening(browser, service, wait) as open_it:
        page = open_it("en-GB")
        choose(page, FRAMES[0])
        expect(page.locator("#never")).to_be_visible(timeout=ANSWER_MS)
        expect(page.locator("#label")).to_be_visible()


def test_the_command_line_says_it_first_and_has_the_columns(
    judging: Trained, tmp_path: Any
) -> None:
    (tmp_path / "flat.png").write_bytes(FLAT)
    (tmp_path / "frame.png").write_bytes(FRAMES[0])
    one = run_script(
        judging, "deploy/predict.py", str(tmp_path / "flat.png"), "--deployment", DEPLOYMENT
    )
    assert one.returncode == 0, one.stderr
    assert one.stdout.startswith("No prediction: this image is unlike the training images.\n")
    table = run_script(judging, "deploy/predict.py", str(tmp_path), "--deployment", DEPLOYMENT)
    header, flat, other = table.stdout.splitlines()
    assert header.endswith(",abstained,abstained_because,set,error")
    assert f",true,{UNLIKE}," in flat
    said = expected(judging, FRAMES[0])
    assert f",{str(said['abstained']).lower()},{said['reason'] or ''}," in other
    assert other.endswith("|".join(said["set"]) + ",")


def test_drift_is_told_at_its_route_at_metrics_by_the_command_and_on_the_page(
    browser: Browser, judging_service: str, judging: Trained
) -> None:
    def told(change: float, count: int) -> tuple[Any, float, int]:
        """What each of them says after `count` frames with `change` of their light."""
        for number in range(2000, 2000 + count):
            drawn = frame(number % 4, number).resize((SIDE, SIDE))
            answer(judging_service, encoded(drawn.point(lambda value: value * change)))
        found = requests.get(f"{judging_service}/drift").json()
        assert set(found["quantities"]) == {"class", "confidence", "unlikeness", "abstained"}
        done = run_script(judging, "deploy/drift.py", judging_service)
        assert "population stability index" in done.stdout, done.stderr
        return found["alarm"], counters(judging_service)["sonda_drift_alarm"], done.returncode

    def wait(page: Any) -> None:
        expect(page.locator("#card")).to_be_visible(timeout=ANSWER_MS)

    with opening(browser, judging_service, wait) as open_it:
        assert told(1, 150) == (False, 0, 0)
        page = open_it("en-GB")
        choose(page, FRAMES[0])
        expect(page.locator("#result")).to_have_attribute("aria-busy", "false", timeout=ANSWER_MS)
        expect(page.locator("#drift")).to_be_hidden()
        assert told(0.3, 60) == (True, 1, ALARM)
        for locale, text in (("en-GB", "got other answers"), ("es-MX", "otras respuestas")):
            page = open_it(locale)
            expect(page.locator("#drift")).to_contain_text(text, timeout=ANSWER_MS)


def test_int8_judges_unlikeness_nearly_as_float32_does(judging: Trained, tmp_path: Any) -> None:
    from models.common import onnx_predict
    from models.quantization import quantize

    drawn = [np.asarray(frame(n % 4, n).resize((SIDE, SIDE))) for n in range(24)]
    pixels, flat = np.stack(drawn), np.full((1, SIDE, SIDE, 3), 250, np.uint8)
    quantize(judging.onnx, tmp_path / "int8.onnx", pixels)
    exact, rounded = (
        onnx_predict(path, np.concatenate([pixels, flat]))[UNLIKENESS]
        for path in (judging.onnx, tmp_path / "int8.onnx")
    )
    assert np.median(np.abs(rounded / exact - 1)) < 0.25
    assert rounded[-1] > rounded[:-1].max()
