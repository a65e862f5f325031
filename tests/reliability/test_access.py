"""Only those with a key are let in, as often as they may, and each request leaves one line."""

import re
import subprocess
import sys
import time

import pytest
import requests

from deploy.serving.http.access import CLOSABLE, Rules
from deploy.serving.http.keys import Keys, Rate, digest
from tests.common import ROOT
from tests.deploy.common import Trained, encoded, frame, run_script
from tests.reliability.common import KEYS, LAB, OLD, PNG, RATE, WARD, Running, bearer

IMAGE = encoded(frame(0, 3))
CLOSED = ("/model", "/card", "/docs.json", "/sample-input", "/predict", "/none", "/static_x")
OPEN = ("/", "/static/page.js", "/shared/shared.js", "/livez", "/readyz")


def ask(service: Running, **headers: str | bytes) -> requests.Response:
    return requests.post(f"{service.address}/predict", data=IMAGE, headers={**PNG, **headers})


def test_without_a_key_only_the_page_and_the_probes_answer(keyed: Running) -> None:
    for path in OPEN:
        assert requests.get(keyed.address + path).status_code == 200, path
    for path in CLOSED:
        response = requests.get(keyed.address + path)
        assert (response.status_code, response.json()["error"]) == (401, "unauthorized"), path
        assert response.headers["WWW-Authenticate"] == "Bearer"
    wrong: list[dict[str, str | bytes]] = [
        {"Authorization": f"Bearer {digest(LAB)}"},
        {"Authorization": f"Basic {LAB}"},
    ]
    wrong += [{"X-API-Key": ""}, {"X-API-Key": LAB[:-1]}, {"Authorization": "Bearer ñ".encode()}]
    for each in wrong:
        assert ask(keyed, **each).status_code == 401


def test_every_key_of_a_name_is_taken_in_either_header(keyed: Running) -> None:
    for headers in (
        bearer(LAB),
        bearer(WARD),
        {"X-API-Key": OLD},
        {"authorization": f"bearer {LAB}"},
    ):
        response = ask(keyed, **headers)
        assert response.status_code == 200, response.text
    line = keyed.audited(response.headers["X-Request-ID"])
    assert line["key"] == "lab"
    assert requests.get(f"{keyed.address}/model", headers=bearer(WARD)).ok


def test_closed_routes_are_not_there_whoever_asks(keyed: Running, plain: Running) -> None:
    paths = [*CLOSABLE["metrics"], *CLOSABLE["bentoml"]]
    for path in paths:
        assert requests.get(keyed.address + path, headers=bearer(LAB)).status_code == 404, path
    assert requests.get(f"{plain.address}/metrics").ok
    assert requests.get(f"{plain.address}/schema.json").ok


def test_no_other_origin_is_allowed_to_read_answers(plain: Running) -> None:
    origin = {"Origin": "https://elsewhere.example"}
    asked = origin | {"Access-Control-Request-Method": "POST"}
    for response in (
        requests.get(f"{plain.address}/model", headers=origin),
        requests.options(f"{plain.address}/predict", headers=asked),
    ):
        assert not [name for name in response.headers if name.lower().startswith("access-control")]


def test_who_asks_too_often_waits_and_nobody_else_does(keyed: Running) -> None:
    answers = [ask(keyed, **bearer(WARD)) for _ in range(RATE + 5)]
    refused = [each for each in answers if each.status_code == 429]
    assert refused
    assert refused[0].json()["error"] == "too_many_requests"
    assert 0 < int(refused[0].headers["Retry-After"]) <= 60 / RATE
    assert {each.status_code for each in answers} == {200, 429}
    assert requests.get(f"{keyed.address}/model", headers=bearer(WARD)).ok
    assert ask(keyed, **bearer(LAB)).ok
    time.sleep(int(refused[-1].headers["Retry-After"]))
    assert ask(keyed, **bearer(WARD)).ok


def test_a_bucket_fills_evenly_and_never_over_its_brim() -> None:
    now = 0.0
    rate = Rate(60, lambda: now)
    assert [rate.wait("a") for _ in range(60)] == [0] * 60
    assert rate.wait("a") == pytest.approx(1)
    assert rate.wait("b") == 0
    now = 1.5
    assert rate.wait("a") == 0
    assert rate.wait("a") == pytest.approx(0.5)
    now = 1000
    assert [rate.wait("a") for _ in range(61)].count(0) == 60
    assert Rate(0).wait("a") == 0


def test_the_document_names_the_keys_and_leaves_closed_routes_out(keyed: Running) -> None:
    document = requests.get(f"{keyed.address}/docs.json", headers=bearer(LAB)).json()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header"}
    predict = document["paths"]["/predict"]["post"]
    assert predict["security"] == [{"bearer": []}, {"header": []}]
    assert {"401", "429"} <= set(predict["responses"])
    assert "security" not in document["paths"]["/readyz"]["get"]
    assert "/metrics" not in document["paths"]


def test_a_request_leaves_one_line_without_names_of_files_or_paths(keyed: Running) -> None:
    mine = {"X-Request-ID": "study-7.slice_2"}
    sent = [("image", ("Doe^Jane.png", IMAGE)), ("image", ("Doe^Jane2.png", IMAGE))]
    url = f"{keyed.address}/predict"
    response = requests.post(url, files=sent, headers=bearer(LAB) | mine)
    assert response.headers["X-Request-ID"] == "study-7.slice_2"
    line = keyed.audited("study-7.slice_2")
    assert {k: line[k] for k in ("key", "method", "route", "status", "samples")} == {
        "key": "lab", "method": "POST", "route": "/predict", "status": 200, "samples": 2
    }  # fmt: skip
    assert line["bytes"] > 2 * len(IMAGE)
    assert line["milliseconds"] > 0
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:.]+\+00:00", line["time"])
    refused = requests.get(f"{keyed.address}/Roe^Richard.png")
    assert keyed.audited(refused.headers["X-Request-ID"])["route"] == ""
    text = keyed.log.read_text()
    assert text.count('"study-7.slice_2"') == 1
    assert "Jane" not in text
    assert "Richard" not in text
    assert "127.0.0.1" not in text.split("Press CTRL+C")[1]  # no address of a client
    assert LAB not in text


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, '"},{"', "ñ"])
def test_a_request_id_that_could_forge_a_line_is_replaced(plain: Running, given: str) -> None:
    headers = {"X-Request-ID": given.encode()}
    response = requests.get(f"{plain.address}/model", headers=headers)
    found = response.headers["X-Request-ID"]
    assert re.fullmatch(r"[0-9a-f]{32}", found)
    assert plain.audited(found)["status"] == 200


def test_refused_and_failed_requests_have_an_id_and_a_line_too(plain: Running) -> None:
    response = requests.post(f"{plain.address}/predict", data=b"text", headers=PNG)
    line = plain.audited(response.headers["X-Request-ID"])
    assert (line["status"], line["samples"], line["key"], line["bytes"]) == (415, None, None, 4)


def test_the_service_says_at_its_start_who_may_ask(keyed: Running, plain: Running) -> None:
    assert "only with a key of lab, ward" in keyed.log.read_text()
    assert "no keys: whoever reaches this service may ask it" in plain.log.read_text()


def test_the_command_makes_a_key_that_its_entry_lets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "deploy/key.py", "lab"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    [key] = re.findall(r"^key .*: (\S+)$", made, re.M)
    [entry] = re.findall(r"^entry .*: (\S+)$", made, re.M)
    monkeypatch.setenv("SONDA_API_KEYS", f"{entry},{KEYS}")
    keys = Keys.from_environment()
    assert keys.owner(key) == "lab"
    assert keys.owner(key[:-1]) is None
    refused = subprocess.run([*command[:-1], "a:b"], cwd=ROOT, capture_output=True, text=True)
    assert "1 to 64 letters" in refused.stderr


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("SONDA_API_KEYS", "lab:secret", "entry 1 is not <name>:<sha256"),
        ("SONDA_API_KEYS", " , ", "holds no key"),
        ("SONDA_API_KEYS_FILE", "/nowhere/keys", "cannot be read"),
        ("SONDA_REQUESTS_PER_MINUTE", "0", "not a whole number over 0"),
        ("SONDA_CLOSED", "metrics,doc", "'doc' is none of metrics, docs, bentoml"),
    ],
)
def test_a_wrong_setting_of_access_stops_the_start_and_is_not_shown(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=variable) as error:
        Rules.from_environment()
    assert told in str(error.value)
    assert "secret" not in str(error.value)


def test_the_command_that_serves_names_a_wrong_setting(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(trained.environment, "SONDA_API_KEYS", "lab:secret")
    done = run_script(trained, "deploy/serve.py", "--deployment", trained.deployment, "--port", "0")
    assert done.returncode == 1
    assert "SONDA_API_KEYS: entry 1 is not" in done.stderr
    assert "Traceback" not in done.stderr


def test_keys_are_read_from_a_file_with_remarks(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# who may ask\nlab:{digest(LAB)}  # until May\n\nward:{digest(WARD)}\n")
    monkeypatch.setenv("SONDA_API_KEYS_FILE", str(file))
    keys = Keys.from_environment()
    assert keys.names == ["lab", "ward"]
    assert (keys.owner(LAB), keys.owner(OLD)) == ("lab", None)
    monkeypatch.setenv("SONDA_API_KEYS", KEYS)
    with pytest.raises(ValueError, match="both set"):
        Rules.from_environment()
