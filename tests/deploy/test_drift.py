"""Drift of a service: an alarm after other images, none after ordinary ones, and why there is none.

The rates of false alarms are measured on more data by `tests/benchmarks/drift.py`.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import requests
from prometheus_client import CollectorRegistry, generate_latest
from starlette.testclient import TestClient

from datasets.common.images import Profile, Thresholds, profile, verdicts
from deploy.drift import ALARM, report
from deploy.serving.http.access import Access, Rules
from deploy.serving.http.keys import Keys, digest
from deploy.serving.http.limits import Limits
from deploy.serving.http.metrics import DriftGauges
from deploy.serving.http.servable import Facts
from deploy.serving.images import drift
from deploy.serving.images.classifier import Classifier
from deploy.serving.images.service import ImageService
from tests.common import ROOT
from tests.deploy.common import SIDE, Trained, encoded, frame

CLASSES = ("a", "b", "c", "d")
THRESHOLDS = Thresholds(14.0, (0.5,) * 4)
LOOKS = 40
FALSE = 2
"""Most false alarms among `LOOKS`: with a rate of 0.2 % there are more once in 10,000 times."""


def answers(
    seed: Any, count: int, sharp: float = 3, mix: tuple[float, ...] = (0.4, 0.3, 0.2, 0.1),
    unlike: float = 0,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Probabilities (count, 4) and unlikeness (count,) of a generated model."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 4)) + np.eye(4)[rng.choice(4, count, p=mix)] * sharp
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True), rng.gamma(40, 0.25, count) + unlike


def known(seed: Any = 0, count: int = 400) -> Profile:
    found = profile(THRESHOLDS, CLASSES, *answers(seed, count))
    assert found
    return found


def rows(given: Profile, seed: Any, count: int, **shift: Any) -> np.ndarray:
    found = answers(seed, count, **shift)
    return given.rows(*found, verdicts(THRESHOLDS, CLASSES, *found))


def test_the_index_of_known_shares() -> None:
    half, moved = np.array([500_000, 500_000]), np.array([750_000, 250_000])
    expected = 0.25 * np.log(0.75 / 0.5) - 0.25 * np.log(0.25 / 0.5)
    assert drift.psi(half, moved) == pytest.approx(expected, rel=1e-4)
    assert drift.psi(half, half) == 0
    assert np.isfinite(drift.psi(np.array([10, 0]), np.array([0, 10])))
    assert drift.psi(half[None], np.stack([half, moved])).shape == (2,)


def test_the_discrepancy_is_that_of_its_definition() -> None:
    before, now = np.array([3, 1, 0, 4, 0, 2]), np.array([1, 0, 5, 1, 1, 2])
    places = np.array([((i + 0.5) / 2, (j + 0.5) / 3) for i in range(2) for j in range(3)])
    apart = ((places[:, None] - places) ** 2).sum(axis=-1)
    gap = now / 10 - before / 10
    expected = gap @ np.exp(-apart / (2 * drift.WIDTH**2)) @ gap
    assert drift.discrepancy((2, 3))(before, now) == pytest.approx(expected)


def test_the_p_value_is_that_of_all_permutations() -> None:
    """Fisher's exact test of 8 and 1 against 2 and 5: 0.035, two-sided."""
    from scipy.stats import fisher_exact

    before, now = np.array([8, 2]), np.array([1, 5])
    exact = fisher_exact(np.stack([before, now])).pvalue
    assert drift.p_value(before, now, drift.psi) == pytest.approx(exact, abs=0.025)
    assert drift.p_value(before, now, drift.psi) == drift.p_value(before, now, drift.psi)
    same = np.array([20, 30])
    assert drift.p_value(same, same, drift.psi) == 1
    assert drift.p_value(np.array([100, 0]), np.array([0, 100]), drift.psi) == 1 / 2000


@pytest.mark.parametrize("count", [drift.FEWEST, 300])
def test_alarms_without_drift_are_as_rare_as_stated(count: int) -> None:
    found = []
    for look in range(LOOKS):
        given = known((look, 0))
        found.append(drift.compared(given, rows(given, (look, 1), count), CLASSES)["alarm"])
    assert sum(found) <= FALSE


@pytest.mark.parametrize(
    "shift",
    [
        {"sharp": 1.5},
        {"sharp": 5},
        {"unlike": 2},
        {"mix": (0.1, 0.2, 0.3, 0.4)},
    ],
    ids=["less sure", "surer", "less alike", "another mix of classes"],
)
def test_drift_is_found(shift: dict[str, Any]) -> None:
    given = known()
    found = drift.compared(given, rows(given, 1, 300, **shift), CLASSES)
    assert found["alarm"] is True and found["p_value"] <= drift.ALPHA
    assert max(each["psi"] for each in found["quantities"].values()) >= drift.MODERATE


def test_few_predictions_or_no_profile_are_no_comparison_and_say_why() -> None:
    given = known()
    none = drift.Drift(None, CLASSES)
    probabilities, unlikeness = answers(0, 100)
    none.note(probabilities, unlikeness, verdicts(None, CLASSES, probabilities, unlikeness))
    found = none.report()
    assert found["alarm"] is None and "no profile of validation images" in found["why"]
    few = drift.compared(given, rows(given, 1, 49), CLASSES)
    assert (few["alarm"], few["window"]) == (None, 49)
    assert few["why"] == "49 predictions so far, 50 are needed"
    assert report(few) == "not compared: 49 predictions so far, 50 are needed"


def test_the_window_is_bounded_and_old_predictions_leave_it() -> None:
    watched = drift.Drift(known(), CLASSES)

    def note(count: int, **shift: Any) -> None:
        found = answers(2, count, **shift)
        watched.note(*found, verdicts(THRESHOLDS, CLASSES, *found))

    note(drift.WINDOW, sharp=0)
    assert watched.report()["alarm"] is True
    assert watched.report() is watched.report()  # computed once
    note(drift.WINDOW)
    assert (watched.report()["window"], watched.report()["alarm"]) == (drift.WINDOW, False)


def test_threads_lose_no_prediction() -> None:
    watched = drift.Drift(known(), CLASSES)
    found = answers(3, 10)
    given = verdicts(THRESHOLDS, CLASSES, *found)

    def work() -> None:
        for _ in range(10):
            watched.note(*found, given)
            watched.report()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert watched.report()["window"] == 400


def test_gauges_are_shown_once_they_are_known() -> None:
    watched, registry = drift.Drift(known(), CLASSES), CollectorRegistry(auto_describe=True)
    registry.register(DriftGauges(watched.report))
    registry.register(DriftGauges(drift.Drift(None, CLASSES).report))
    before = generate_latest(registry).decode()
    assert "sonda_drift_window 0.0" in before and "sonda_drift_p_value" not in before
    found = answers(2, 100, unlike=9)
    watched.note(*found, verdicts(THRESHOLDS, CLASSES, *found))
    after = generate_latest(registry).decode()
    assert "sonda_drift_alarm 1.0" in after and "sonda_drift_p_value 0.001" in after
    for name in ("class", "confidence", "unlikeness", "abstained"):
        assert f'sonda_drift_psi{{quantity="{name}"}}' in after


def sent(client: TestClient, change: Callable[[np.ndarray], np.ndarray], first: int) -> None:
    """Sixty frames, each changed by `change`."""
    for number in range(first, first + 60):
        pixels = change(np.asarray(frame(number % 4, number).resize((SIDE, SIDE))))
        content = encoded_pixels(pixels)
        assert client.post("/predict", files={"image": content}).status_code == 200


def encoded_pixels(pixels: np.ndarray) -> bytes:
    from PIL import Image

    return encoded(Image.fromarray(pixels.astype(np.uint8)))


@pytest.fixture(scope="module")
def profiled(trained: Trained) -> Facts:
    """The facts of the small model, with its profile of 100 frames."""
    bare = Classifier(Facts("m", "1", "run", CLASSES), trained.onnx.parent, Limits())
    bare.load()
    drawn = [np.asarray(frame(n % 4, 1000 + n).resize((SIDE, SIDE))) for n in range(100)]
    probabilities, _ = bare.judge(np.stack(drawn))
    found = profile(None, CLASSES, probabilities, None)
    assert found
    return Facts("m", "1", "run", CLASSES, drift=json.loads(json.dumps(found.metadata())))


def opened(facts: Facts, trained: Trained) -> ImageService:
    service = ImageService({}, {})
    service.classifier = Classifier(facts, trained.onnx.parent, Limits())
    service.classifier.start().join()
    return service


@pytest.mark.parametrize(
    ("change", "alarm"),
    [(lambda pixels: pixels, False), (lambda pixels: pixels * 0.3, True)],
    ids=["ordinary", "darker"],
)
def test_a_service_says_whether_its_images_have_drifted(
    profiled: Facts, trained: Trained, change: Any, alarm: bool
) -> None:
    with TestClient(opened(profiled, trained).app()) as client:
        assert client.get("/drift").json()["alarm"] is None
        sent(client, change, 0)
        found = client.get("/drift").json()
        assert (found["alarm"], found["window"], found["validation"]) == (alarm, 60, 100)
        assert set(found["quantities"]) == {"class", "confidence"}  # all that this model has
        text = report(found)
        assert text.startswith("ALARM" if alarm else "no alarm")
        assert "class: population stability index" in text


def test_drift_needs_a_key_as_other_routes_do(profiled: Facts, trained: Trained) -> None:
    key = "k" * 43
    rules = Rules(Keys([("ward", digest(key))]))
    with TestClient(Access(opened(profiled, trained).app(), rules)) as client:
        assert client.get("/drift").status_code == 401
        assert client.get("/drift", headers={"X-API-Key": key}).status_code == 200
    starting = TestClient(ImageService({}, {}).app()).get("/drift")
    assert (starting.status_code, starting.json()["error"]) == (503, "not_ready")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "deploy/drift.py", *arguments], cwd=ROOT, capture_output=True, text=True
    )


def test_a_model_without_a_profile_answers_null_and_the_command_says_why(service: str) -> None:
    found = requests.get(f"{service}/drift").json()
    assert found["alarm"] is None and found["validation"] is None
    assert found["why"] == drift.NO_PROFILE
    assert "sonda_drift" not in requests.get(f"{service}/metrics").text
    done = command(service)
    assert (done.returncode, done.stdout) == (0, f"not compared: {drift.NO_PROFILE}\n")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:3000", "is no address"),
        ("http://127.0.0.1:9", "is the service running?"),
        ("file:///etc", "is no address"),
    ],
)
def test_the_command_names_what_is_wrong(address: str, message: str) -> None:
    done = command(address)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr
    assert ALARM not in (0, 1)
