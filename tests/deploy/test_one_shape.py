"""Every answer of a service has the headers of security, and every error is JSON in one shape."""

import http.client
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from deploy.serving.http.middleware import HEADERS, OneShape
from tests.deploy.common import encoded, frame

FOUND = (
    "/", "/model", "/docs.json", "/metrics", "/sample-input", "/static/page.js",
    "/shared/shared.js", "/livez", "/healthz", "/readyz", "/schema.json",
)  # fmt: skip
"""Routes of ours and of BentoML."""
ERRORS = [
    ("GET", "/nothing", 404),
    ("GET", "/nothing/at/all?x=1", 404),
    ("POST", "/nothing", 404),
    ("GET", "/static/none.js", 404),
    ("GET", "/static/", 404),
    ("GET", "/%00", 404),
    ("GET", "/" + "a" * 5000, 404),
    ("GET", "/predict", 405),
    ("PUT", "/predict", 405),
    ("OPTIONS", "/predict", 405),
    ("POST", "/", 405),
    ("DELETE", "/model", 405),
    ("POST", "/docs.json", 405),
    ("POST", "/metrics", 405),
    ("POST", "/shared/shared.js", 405),
    ("POST", "/livez", 405),
    ("PUT", "/healthz", 405),
    ("PATCH", "/readyz", 405),
    ("DELETE", "/schema.json", 405),
]


def assert_headers(headers: Any) -> None:
    for name, value in HEADERS.items():
        assert headers.get(name) == value, f"{name}: {headers.get(name)}"


def assert_error(response: Any) -> dict[str, str]:
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert set(body) == {"error", "message"}
    assert 0 < len(body["message"]) < 500
    return body


@pytest.mark.parametrize("path", FOUND)
def test_every_route_has_the_headers(path: str, service: str) -> None:
    for method in ("GET", "HEAD"):
        response = requests.request(method, service + path)
        assert response.status_code == 200
        assert_headers(response.headers)


@pytest.mark.parametrize(("method", "path", "status"), ERRORS)
def test_every_error_is_json(method: str, path: str, status: int, service: str) -> None:
    response = requests.request(method, service + path)
    assert response.status_code == status
    assert_headers(response.headers)
    error = assert_error(response)
    assert error["error"] == {404: "not_found", 405: "method_not_allowed"}[status]
    assert error["message"].startswith(f"{method} /")
    assert status != 405 or response.headers.get("Allow")


@pytest.mark.slow
def test_a_table_service_answers_alike(table_service: str) -> None:
    for method, path in (("GET", "/nothing"), ("POST", "/livez"), ("GET", "/predict")):
        response = requests.request(method, table_service + path)
        assert_error(response)
        assert_headers(response.headers)
    assert_headers(requests.get(f"{table_service}/static/form.js").headers)


def test_a_head_of_what_is_not_there_has_no_body(service: str) -> None:
    response = requests.head(f"{service}/nothing")
    assert response.status_code == 404
    assert response.content == b""
    assert_headers(response.headers)


def test_answers_and_refusals_have_the_headers(service: str) -> None:
    for content, status in ((encoded(frame(0, 1)), 200), (b"text", 415), (b"", 400)):
        response = requests.post(f"{service}/predict", files={"image": ("a", content)})
        assert response.status_code == status
        assert_headers(response.headers)


def test_what_has_not_changed_since_has_the_headers(service: str) -> None:
    path = f"{service}/static/page.js"
    tag = requests.get(path).headers["ETag"]
    response = requests.get(path, headers={"If-None-Match": tag})
    assert response.status_code == 304
    assert_headers(response.headers)


def test_a_method_that_nobody_knows_is_an_error_in_this_shape(service: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(service).netloc, timeout=10)
    connection.request("BREW", "/predict")
    response = connection.getresponse()
    assert response.status == 405
    assert response.headers["Content-Type"] == "application/json"
    assert_headers(response.headers)


def broken(_: Request) -> Response:
    raise RuntimeError("a secret")


def unready(_: Request) -> Response:
    raise HTTPException(503, "not ready", {"Retry-After": "7"})


def foreign(_: Request) -> Response:
    return JSONResponse({"error": "of another shape"}, 504)


def torn(_: Request) -> Response:
    def chunks() -> Any:
        yield b"some"
        raise RuntimeError("a secret")

    return StreamingResponse(chunks())


ROUTES = [Route(f"/{each.__name__}", each) for each in (broken, unready, foreign, torn)]
CLIENT = TestClient(OneShape(Starlette(routes=ROUTES)), raise_server_exceptions=False)


def test_errors_that_are_raised_and_those_of_others_get_this_shape() -> None:
    for path, status in (("/broken", 500), ("/unready", 503), ("/foreign", 504)):
        response = CLIENT.get(path)
        assert response.status_code == status
        assert_headers(response.headers)
        assert "secret" not in assert_error(response)["message"]
    assert CLIENT.get("/unready").headers["Retry-After"] == "7"


def test_an_error_around_the_routes_gets_this_shape() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 400, "headers": []})
        raise RuntimeError("a secret")

    response = TestClient(OneShape(app)).get("/x")
    assert response.status_code == 500
    assert assert_error(response)["error"] == "internal_server_error"
    assert_headers(response.headers)


def test_an_answer_that_breaks_off_is_not_made_whole() -> None:
    client = TestClient(OneShape(Starlette(routes=ROUTES)))
    with pytest.raises(RuntimeError, match="a secret"):
        client.get("/torn")
