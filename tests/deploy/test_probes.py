"""What machines ask a service: is it alive, ready, what has it counted, how is it called."""

import re

import pytest
import requests
from starlette.testclient import TestClient

from deploy.serving.http import routes
from deploy.serving.http.limits import Limits
from deploy.serving.images.classifier import Classifier, Facts
from deploy.serving.images.service import ImageService
from tests.common import ROOT
from tests.deploy.common import MODEL, Trained, counters, encoded, frame

PROBES = ("/livez", "/readyz", "/metrics")


@pytest.mark.parametrize("path", PROBES)
def test_probes_answer(path: str, service: str) -> None:
    assert requests.get(service + path).status_code == 200


def test_requests_refusals_and_classes_are_counted(service: str) -> None:
    before = counters(service)
    image = {"image": encoded(frame(0, 9))}
    answer = requests.post(f"{service}/predict", files=image).json()
    requests.post(f"{service}/predict", files={"image": b"text"})
    after = counters(service)
    label = answer["predictions"][0]["label"]
    for name in (
        'sonda_requests_total{status="200"}',
        'sonda_requests_total{status="415"}',
        'sonda_rejections_total{reason="not_an_image"}',
        f'sonda_predictions_total{{label="{label}"}}',
    ):
        assert after[name] == before.get(name, 0) + 1
    assert after["sonda_request_seconds_count"] == before["sonda_request_seconds_count"] + 2


def test_paths_that_anybody_asks_for_are_not_kept(service: str) -> None:
    assert requests.get(f"{service}/a-path-of-mine").status_code == 404
    assert "a-path-of-mine" not in requests.get(f"{service}/metrics").text


def test_the_interface_is_described_with_examples_that_work(service: str) -> None:
    document = requests.get(f"{service}/docs.json").json()
    assert document["openapi"].startswith("3.")
    assert document["info"]["title"] == MODEL
    operation = document["paths"]["/predict"]["post"]
    assert {"200", "400", "413", "415", "422", "503"} <= set(operation["responses"])
    example = operation["requestBody"]["content"]["application/json"]["example"]
    answer = requests.post(f"{service}/predict", json=example)
    assert answer.status_code == 200, answer.text
    described = operation["responses"]["200"]["content"]["application/json"]["example"]
    assert set(answer.json()) == set(described)
    assert set(answer.json()["predictions"][0]) == set(described["predictions"][0])


def test_only_post_predicts(service: str) -> None:
    response = requests.get(f"{service}/predict")
    assert response.status_code == 405
    assert "GET /predict" in response.json()["message"]


def test_the_page_may_load_from_its_own_host_only(service: str) -> None:
    policy = requests.get(service).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    for folder in ("page", "form", "shared"):
        for path in (ROOT / "deploy" / "serving" / "pages" / folder).iterdir():
            found = re.findall(r"(?:src|href|url)\W{1,3}(?:https?:)?//\S*", path.read_text())
            assert found == [], f"{path} loads from elsewhere"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../service.py",
        "/static/%2e%2e/%2e%2e/service.py",
        "/shared/%2e%2e/%2e%2e/service.py",
        "/shared/%2e%2e/page/index.html",
        "/static/none.js",
    ],
)
def test_nothing_but_the_page_is_given_out(path: str, service: str) -> None:
    assert requests.get(service + path).status_code == 404


def test_it_is_not_ready_before_it_is_warm(trained: Trained, monkeypatch) -> None:
    facts = Facts(MODEL, "1", trained.run_id, ("a", "b", "c", "d"))
    classifier = Classifier(facts, trained.onnx.parent, Limits())
    images = ImageService({}, {})
    with TestClient(images.app()) as client:
        unloaded = client.post("/predict", files={"image": encoded(frame(0, 1))})
        assert unloaded.status_code == 503
        images.classifier = classifier
        cold = client.post("/predict", files={"image": encoded(frame(0, 1))})
        assert cold.status_code == 503
        assert cold.json()["error"] == "not_ready"
        assert int(cold.headers["Retry-After"]) > 0
        classifier.start().join()
        assert classifier.ready
        assert client.post("/predict", files={"image": encoded(frame(0, 1))}).status_code == 200


def test_a_request_that_takes_too_long_is_told_so(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = Facts(MODEL, "1", trained.run_id, ("a", "b", "c", "d"))
    images = ImageService({}, {})
    images.classifier = Classifier(facts, trained.onnx.parent, Limits())
    images.classifier.start().join()
    with TestClient(images.app()) as client:
        sent = {"image": encoded(frame(0, 1))}
        assert client.post("/predict", files=sent).status_code == 200
        monkeypatch.setattr(routes, "ANSWER_SECONDS", 1e-4)
        response = client.post("/predict", files=sent)
        assert response.status_code == 504
        assert response.json()["error"] == "too_long"
        monkeypatch.undo()
        assert client.post("/predict", files=sent).status_code == 200


def test_a_model_with_other_classes_never_gets_ready(trained: Trained) -> None:
    classifier = Classifier(
        Facts(MODEL, "1", trained.run_id, ("a", "b")), trained.onnx.parent, Limits()
    )
    classifier.start().join()
    assert classifier.failed
    assert not classifier.ready
    with pytest.raises(ValueError, match="4 outputs and names 2 classes"):
        classifier.load()


def test_a_wrong_limit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONDA_MAX_BYTES", "2 MB")
    with pytest.raises(ValueError, match="SONDA_MAX_BYTES='2 MB' is not a whole number over 0"):
        Limits.from_environment()
    monkeypatch.setenv("SONDA_MAX_BYTES", "4096")
    assert Limits.from_environment() == Limits(max_bytes=4096)
