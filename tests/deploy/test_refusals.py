"""Bad input gets a reason and a status below 500, whatever it is."""

import base64
import io
import json
import socket
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from datasets.common.images.formats import PICTURES
from deploy.serving.images import decode, headers
from deploy.serving.limits import Limits
from deploy.serving.refusals import Refused
from tests.datasets.test_dicom import dicom
from tests.deploy.common import LIMITS, READ_SECONDS, dicom_bytes, encoded, frame

PNG = {"Content-Type": "image/png"}
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
EXAMPLES = 60
"""Requests of each kind of hostile body; a few milliseconds each."""


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in some hundred bytes: only its header is honest."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


JPEG = encoded(frame(0, 3), "JPEG")
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
    "a field without a name": ({"data": b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--",
                                "headers": FORM}, 400, "bad_multipart"),
    "JSON that is none": ({"data": b"{", "headers": JSON}, 400, "bad_json"),
    "JSON without end": ({"data": b"[" * 100_000, "headers": JSON}, 400, "bad_json"),
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
    waiting = [slow_request(service, JPEG[:100]) for _ in range(LIMITS["MAX_REQUESTS"])]
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


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (17, 24, 3), np.uint8))
GOOD = [*(encoded(NOISE, name) for name in PICTURES), dicom_bytes(dicom(np.asarray(NOISE)))]
"""A small image in each format that is read."""


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good small image in which some bytes were changed, and perhaps its end lost."""
    content = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(0, 8))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.integers(len(content) // 2, len(content)))])


beginnings = st.sampled_from([content[:12] for content in GOOD])
hostile = st.one_of(
    st.binary(max_size=400), st.builds(bytes.__add__, beginnings, st.binary()), damaged()
)
bodies = settings(
    max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def assert_no_fault(response: requests.Response) -> None:
    assert response.status_code in (200, 400, 413, 415, 422), response.text
    assert "predictions" in response.json() or response.json()["message"]


@bodies
@given(body=hostile)
def test_no_bytes_called_an_image_are_a_fault_of_the_service(service: str, body: bytes) -> None:
    assert_no_fault(requests.post(f"{service}/predict?explain=1", data=body, headers=PNG))


@bodies
@given(body=hostile, header=st.sampled_from([FORM, JSON]))
def test_no_bytes_called_a_form_or_json_are_a_fault_of_the_service(
    service: str, body: bytes, header: dict[str, str]
) -> None:
    assert_no_fault(requests.post(f"{service}/predict", data=body, headers=header))


@bodies
@given(head=st.binary(max_size=80), body=hostile)
def test_no_part_of_a_form_is_a_fault_of_the_service(
    service: str, head: bytes, body: bytes
) -> None:
    start = b'--b\r\nContent-Disposition: form-data; name="image"; filename="' + head
    sent = start + b'"\r\n\r\n' + body + b"\r\n--b--\r\n"
    assert_no_fault(requests.post(f"{service}/predict", data=sent, headers=FORM))


@settings(max_examples=300)
@given(content=hostile)
def test_decoding_raises_nothing_but_refusals(content: bytes) -> None:
    try:
        pictures = decode(content, max_pixels=10_000, size=16)
    except Refused as refused:
        assert refused.status in (400, 413, 415, 422)
    else:
        assert {picture.pixels.shape for picture in pictures} == {(16, 16, 3)}


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    for check in (lambda: decode(bomb(), 10**9, 16), lambda: headers([bomb()], Limits())):
        with pytest.raises(Refused, match="60000 x 60000"):
            check()


def test_what_pillow_can_open_but_training_does_not_read_is_refused() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "ICO")
    with pytest.raises(Refused, match="not an image of a format that is read"):
        decode(buffer.getvalue(), 10**6, 16)
