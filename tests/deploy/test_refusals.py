"""Bad input gets a reason and a status below 500, whatever it is."""

import base64
import io
import json
import socket
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from PIL import Image

from deploy.serving.http.limits import Limits
from deploy.serving.http.refusals import Refused
from deploy.serving.images.decode import decode, headers
from tests.deploy.common import LIMITS, READ_SECONDS, encoded, frame

PNG = {"Content-Type": "image/png"}
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=b"}


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in some hundred bytes: only its header is honest."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def form(*parts: bytes, charset: str = "utf-8") -> dict[str, Any]:
    """A multipart body of `parts`, each with its headers."""
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"
    return {"data": body, "headers": {"Content-Type": f"{FORM['Content-Type']}; {charset=!s}"}}


def text(content: bytes, name: bytes = b"note") -> bytes:
    return b'Content-Disposition: form-data; name="' + name + b'"\r\n\r\n' + content


def file(content: bytes, more: bytes = b"") -> bytes:
    head = b'Content-Disposition: form-data; name="image"; filename="a"\r\n'
    return head + more + b"\r\n" + content


JPEG = encoded(frame(0, 3), "JPEG")
EXIF = b"\xff\xe1" + struct.pack(">H", 58) + b"Exif\0\0" + b"a" * 50
LARGE = encoded(Image.new("RGB", (800, 600)))
"""Most of the pixels of a request."""
REFUSALS: dict[str, tuple[dict[str, Any], int, str]] = {
    # what is sent: (arguments of the request, status, word for programs)
    "an empty body": ({"data": b"", "headers": PNG}, 400, "empty"),
    "an empty file": ({"files": {"image": ("a.png", b"")}}, 400, "empty"),
    "text called an image": ({"data": b"not an image", "headers": PNG}, 415, "not_an_image"),
    "a PDF called an image": ({"files": {"image": b"%PDF-1.7\n"}}, 415, "not_an_image"),
    "SVG": ({"data": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "headers": PNG}, 415,
            "not_an_image"),
    "PostScript": ({"data": b"%!PS-Adobe-3.0 EPSF-3.0\n", "headers": PNG}, 415, "not_an_image"),
    "half a JPEG": ({"data": JPEG[: len(JPEG) // 2], "headers": PNG}, 422, "undecodable"),
    "the start of a PNG": ({"data": b"\x89PNG\r\n\x1a\n", "headers": PNG}, 422, "undecodable"),
    "too many pixels": ({"data": bomb(), "headers": PNG}, 413, "too_many_pixels"),
    "too many pixels together": ({"files": [("image", LARGE)] * 2}, 413, "too_many_pixels"),
    "a JPEG of EXIF": ({"data": JPEG[:2] + EXIF * 10_000 + JPEG[2:], "headers": PNG}, 422,
                       "undecodable"),
    "too many bytes": ({"data": b"\0" * (LIMITS["MAX_BYTES"] + 1), "headers": PNG}, 413,
                       "too_large"),
    "too many bytes in a form": ({"files": {"image": b"\0" * LIMITS["MAX_BYTES"]}}, 413,
                                 "too_large"),
    "too many bytes, undeclared": ({"data": iter([b"\0" * 2**18] * 8), "headers": PNG}, 413,
                                   "too_large"),
    "too many images": ({"files": [("image", JPEG)] * (LIMITS["MAX_IMAGES"] + 1)}, 413,
                        "too_many_images"),
    "an address in place of a file": ({"files": {"image": (None, "http://127.0.0.1/a.png")}}, 400,
                                      "text_not_file"),
    "another field": ({"files": {"file": JPEG}}, 400, "no_image"),
    "a form without a boundary": ({"data": b"--b", "headers": {"Content-Type":
                                   "multipart/form-data"}}, 400, "bad_multipart"),
    "a form that is none": ({"data": b"abc", "headers": FORM}, 400, "bad_multipart"),
    "an empty form": ({"data": b"--b--\r\n", "headers": FORM}, 400, "no_image"),
    "a form in another charset": (form(text(b"a"), file(JPEG), charset="punycode"), 415,
                                  "unsupported_charset"),
    "a form in Latin-1": (form(file(JPEG), charset="latin-1"), 415, "unsupported_charset"),
    "a long text in a form": (form(text(b"a" * 100_000), file(JPEG)), 400, "bad_multipart"),
    "many texts in a form": (form(*[text(b"a")] * 10_000), 400, "bad_multipart"),
    "many files in a form": (form(*[file(b"")] * 5_000), 413, "too_many_images"),
    "a long header in a form": (form(file(JPEG, b"X: " + b"a" * 100_000 + b"\r\n")), 400,
                                "bad_multipart"),
    "many headers in a form": (form(file(JPEG, b"X: a\r\n" * 10_000)), 400, "bad_multipart"),
    "a field without a name": ({"data": b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--",
                                "headers": FORM}, 400, "bad_multipart"),
    "JSON that is none": ({"data": b"{", "headers": JSON}, 400, "bad_json"),
    "JSON without end": ({"data": b"[" * 999, "headers": JSON}, 400, "bad_json"),
    "JSON of many lists": ({"data": b"[" + b"[]," * 100_000, "headers": JSON}, 413,
                           "too_many_values"),
    "JSON of many objects": ({"data": b"[" + b'{"":0},' * 100_000, "headers": JSON}, 413,
                             "too_many_values"),
    "many images in JSON": ({"json": {"image": [""] * (LIMITS["MAX_IMAGES"] + 1)}}, 413,
                            "too_many_images"),
    "JSON in Latin-1": ({"data": '{"image": "ñ"}'.encode("latin-1"), "headers": JSON}, 400,
                        "bad_json"),
    "JSON of another shape": ({"json": {"picture": "x"}}, 400, "no_image"),
    "JSON with an empty list": ({"json": {"image": []}}, 400, "no_image"),
    "JSON with a number": ({"json": {"image": 7}}, 400, "no_image"),
    "an address in JSON": ({"json": {"image": "http://127.0.0.1/a.png"}}, 400, "bad_base64"),
    "base64 of text": ({"json": {"image": base64.b64encode(b"hello").decode()}}, 415,
                       "not_an_image"),
    "a web form": ({"data": {"image": "x"}}, 415, "unsupported_media_type"),
    "no type": ({"data": JPEG}, 415, "unsupported_media_type"),
    "a wrong explain": ({"data": JPEG, "headers": PNG, "params": {"explain": "maybe"}}, 400,
                        "bad_parameter"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSALS)
def test_bad_input_is_refused_with_a_reason(what: str, service: str) -> None:
    arguments, status, code = REFUSALS[what]
    response = requests.post(f"{service}/predict", **arguments)
    assert response.status_code == status, response.text
    assert response.json()["error"] == code
    assert len(response.json()["message"]) > 10


def test_a_form_may_say_that_it_is_utf8_and_hold_some_text(service: str) -> None:
    for charset in ("UTF-8", "utf8", "us-ascii", '"utf-8"'):
        sent = form(text(b"a"), file(JPEG), charset=charset)
        assert requests.post(f"{service}/predict", **sent).status_code == 200


def test_the_names_in_a_form_are_no_way_around_the_charset(service: str) -> None:
    part = b"Content-Disposition: form-data; name*=punycode''image; filename=a\r\n\r\n" + JPEG
    response = requests.post(f"{service}/predict", **form(part))
    assert (response.status_code, response.json()["error"]) == (400, "bad_multipart")


def test_base64_may_be_broken_into_lines(service: str) -> None:
    lines = base64.encodebytes(JPEG).decode().replace("\n", "\r\n \t")
    response = requests.post(f"{service}/predict", json={"image": lines})
    assert response.status_code == 200, response.text


def test_the_refusal_of_one_image_of_several_says_which(service: str) -> None:
    sent = [("image", JPEG), ("image", JPEG[:500])]
    response = requests.post(f"{service}/predict", files=sent)
    assert response.status_code == 422
    assert response.json()["message"].startswith("image 2 of 2: ")


def test_an_address_is_never_fetched(service: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(1)
        url = f"http://127.0.0.1:{trap.getsockname()[1]}/a.png"
        for sent in ({"files": {"image": (None, url)}}, {"json": {"image": url}}):
            assert requests.post(f"{service}/predict", **sent).status_code == 400
        with pytest.raises(TimeoutError):
            trap.accept()


def test_a_body_declared_too_large_is_refused_before_it_is_sent(service: str) -> None:
    with slow_request(service, b"", length=10 * LIMITS["MAX_BYTES"]) as client:
        client.settimeout(5)
        assert client.recv(100).startswith(b"HTTP/1.1 413")


def test_a_full_service_says_when_to_come_back(service: str) -> None:
    waiting = [slow_request(service, JPEG[:100]) for _ in range(LIMITS["MAX_READING"])]
    try:
        deadline = time.monotonic() + READ_SECONDS
        response = requests.post(f"{service}/predict", data=JPEG, headers=PNG)
        while response.status_code == 200 and time.monotonic() < deadline:
            response = requests.post(f"{service}/predict", data=JPEG, headers=PNG)
        assert response.status_code == 503
        assert response.json()["error"] == "overloaded"
        assert int(response.headers["Retry-After"]) > 0
        assert requests.get(f"{service}/readyz").ok  # busy is not broken
        for client in waiting:
            client.settimeout(READ_SECONDS + 10)
            assert client.recv(100).startswith(b"HTTP/1.1 408")
    finally:
        for client in waiting:
            client.close()
    assert requests.post(f"{service}/predict", data=JPEG, headers=PNG).ok


def test_a_service_full_of_bytes_says_when_to_come_back(service: str) -> None:
    large = b"\0" * (LIMITS["MAX_BYTES"] - 1000)
    waiting: list[socket.socket] = []
    try:
        deadline = time.monotonic() + READ_SECONDS / 2
        response = requests.post(f"{service}/predict", data=large[:700_000], headers=PNG)
        while response.status_code == 415 and time.monotonic() < deadline:
            with suppress(ConnectionError):  # where two arrive at once, either may be turned away
                waiting.append(slow_request(service, large, LIMITS["MAX_BYTES"]))
            response = requests.post(f"{service}/predict", data=large[:700_000], headers=PNG)
        assert (response.status_code, response.json()["error"]) == (503, "overloaded")
        assert "bytes of requests are under way" in response.json()["message"]
        assert int(response.headers["Retry-After"]) > 0
    finally:
        for client in waiting:
            client.close()
    assert requests.post(f"{service}/predict", data=JPEG, headers=PNG).ok


def test_requests_that_do_not_fit_beside_each_other_wait_in_line(service: str) -> None:
    with ThreadPoolExecutor(LIMITS["MAX_REQUESTS"]) as pool:
        sent = [
            pool.submit(requests.post, f"{service}/predict", data=LARGE, headers=PNG)
            for _ in range(3 * LIMITS["MAX_REQUESTS"])
        ]
    assert {future.result().status_code for future in sent} == {200}


def test_more_clients_than_cores_all_get_their_answer(service: str) -> None:
    with ThreadPoolExecutor(LIMITS["MAX_REQUESTS"]) as pool:
        sent = [
            pool.submit(requests.post, f"{service}/predict", data=JPEG, headers=PNG)
            for _ in range(2 * LIMITS["MAX_REQUESTS"])
        ]
    answers = [future.result() for future in sent]
    assert {answer.status_code for answer in answers} == {200}
    assert len({json.dumps(answer.json()["predictions"]) for answer in answers}) == 1


def slow_request(service: str, start: bytes, length: int = 1000) -> socket.socket:
    """A connection that announced a body of `length` bytes and sent only its `start`."""
    port = urlsplit(service).port or 0
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
        + f"Content-Length: {length}\r\n\r\n".encode()
        + start
    )
    return client


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    for check in (lambda: decode(bomb(), 10**9, 16), lambda: headers([bomb()], Limits())):
        with pytest.raises(Refused, match="60000 x 60000"):
            check()


def test_what_pillow_can_open_but_training_does_not_read_is_refused() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "ICO")
    with pytest.raises(Refused, match="not an image of a format that is read"):
        decode(buffer.getvalue(), 10**6, 16)
