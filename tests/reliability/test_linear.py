"""Time is at most linear in the bytes sent: bodies, forms and images that are eight times larger.

`tests/deploy/test_responsive.py` shows the same for CSV.
"""

import asyncio
import json
import struct
import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.sequence import Sequence
from starlette.requests import Request
from starlette.types import Message

from deploy.serving.http.admission import Admission
from deploy.serving.http.limits import Limits
from deploy.serving.http.refusals import Refused
from deploy.serving.images.bodies import read_images
from deploy.serving.images.decode import decode, headers
from deploy.serving.tables.records import from_json
from tests.datasets.test_dicom import dicom
from tests.deploy.common import dicom_bytes, encoded
from tests.deploy.test_refusals import chunk, file, form, text
from tests.deploy.test_responsive import MORE, MOST, SCHEMA

SMALL = 4_000
"""Repetitions in the smaller body."""
LEAST_SECONDS = 2e-4
"""Below this, what is measured is the rest of the machine."""
WIDE = Limits(max_bytes=2**30, max_total_bytes=2**31)
PIECE = 65_536
"""Bytes of a body that arrive at once, as uvicorn gives them."""
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (17, 24, 3), np.uint8))
PNG, GIF, TIFF = encoded(NOISE), encoded(NOISE, "GIF"), encoded(NOISE, "TIFF")
JPEG = encoded(NOISE, "JPEG")


def in_json(body: str) -> dict[str, Any]:
    return {"data": body.encode(), "headers": {"Content-Type": "application/json"}}


BODIES: dict[str, Callable[[int], dict[str, Any]]] = {
    "many parts": lambda n: form(*[text(b"a")] * n),
    "many files": lambda n: form(*[file(b"")] * n),
    "a long name of a part": lambda n: form(text(b"a", b"n" * n)),
    "many headers of a part": lambda n: form(file(JPEG, b"X: a\r\n" * n)),
    "almost boundaries": lambda n: form(file(b"\r\n--" * n)),
    "beginnings of boundaries": lambda n: form(file(b"\r\n--" + b"b\r\n--" * n)),
    "line ends": lambda n: form(file(b"\r" * 4 * n)),
    "no end": lambda n: {"data": b"-" * 4 * n, "headers": form()["headers"]},
    "levels of JSON": lambda n: in_json("[" * n),
    "keys of JSON": lambda n: in_json("{" + ",".join(f'"{k}":0' for k in range(n)) + "}"),
    "one key of JSON again and again": lambda n: in_json("{" + '"image":"",' * n + '"":0}'),
    "digits in JSON": lambda n: in_json("1" * 4 * n),
    "escapes in JSON": lambda n: in_json('{"image":"' + "\\u0041" * n + '"}'),
    "blanks in base64": lambda n: in_json(json.dumps({"image": "QUFB\n \t" * n})),
    "base64 that is none": lambda n: in_json(json.dumps({"image": "é" * n})),
}


def received(sent: dict[str, Any]) -> Request:
    """The request, as its body arrives piece by piece."""
    pieces = iter(range(0, len(sent["data"]) + 1, PIECE))

    async def receive() -> Message:
        start = next(pieces)
        more = start + PIECE <= len(sent["data"])
        body = sent["data"][start : start + PIECE]
        return {"type": "http.request", "body": body, "more_body": more}

    pairs = [(k.lower().encode(), v.encode()) for k, v in sent["headers"].items()]
    return Request({"type": "http", "method": "POST", "headers": pairs}, receive)


async def read(sent: dict[str, Any]) -> None:
    admission = Admission(WIDE)
    with admission.place() as place:
        await read_images(place.counted(received(sent)), WIDE, place.in_thread)
    admission.threads.shutdown()


def fastest(work: Callable[[], Any], times: int) -> float:
    """Seconds of the fastest of several runs of `work`, which may refuse."""
    seconds = []
    for _ in range(times):
        started = time.process_time()
        try:
            work()
        except Refused as refused:
            assert refused.status < 500
            assert len(refused.message) < 500
        seconds.append(time.process_time() - started)
    return min(seconds)


def assert_linear(small: Callable[[], Any], large: Callable[[], Any]) -> None:
    """`large` is `MORE` times `small`."""
    base = max(fastest(small, 5), LEAST_SECONDS)
    assert fastest(large, 3) < MOST * base


@pytest.mark.parametrize("what", BODIES)
def test_a_body_costs_linear_time(what: str) -> None:
    small, large = BODIES[what](SMALL), BODIES[what](MORE * SMALL)
    assert_linear(lambda: asyncio.run(read(small)), lambda: asyncio.run(read(large)))


def png(parts: bytes) -> bytes:
    """A small PNG with more chunks before its pixels."""
    return PNG[:33] + parts + PNG[33:]


def gif(extension: bytes, count: int) -> bytes:
    """A small GIF with an extension block again and again, before its frame."""
    at = GIF.index(b"\x2c", 13 + 3 * 2 ** ((GIF[10] & 7) + 1) if GIF[10] & 128 else 13)
    return GIF[:at] + extension * count + GIF[at:]


def tiff(count: int) -> bytes:
    """A TIFF whose directory has `count` more entries, all of private tags."""
    [offset] = struct.unpack("<I", TIFF[4:8])
    [known] = struct.unpack("<H", TIFF[offset : offset + 2])
    entries = TIFF[offset + 2 : offset + 2 + 12 * known]
    more = b"".join(struct.pack("<HHII", 40_000 + n % 20_000, 4, 1, n) for n in range(count))
    total = struct.pack("<H", min(known + count, 65_535))
    new = len(TIFF)
    return TIFF[:4] + struct.pack("<I", new) + TIFF[8:] + total + entries + more + b"\0\0\0\0"


def nested(depth: int) -> bytes:
    """A DICOM file of sequences in sequences."""
    inner = Dataset()
    for _ in range(depth):
        outer = Dataset()
        outer.ReferencedStudySequence = Sequence([inner])
        inner = outer
    return dicom_bytes(dicom(np.asarray(NOISE), ReferencedStudySequence=Sequence([inner])))


IMAGES: dict[str, Callable[[int], bytes]] = {
    "texts of a PNG": lambda n: png(chunk(b"tEXt", b"a\0b") * n),
    "packed texts of a PNG": lambda n: png(chunk(b"zTXt", b"a\0\0" + zlib.compress(b"b")) * n),
    "unknown chunks of a PNG": lambda n: png(chunk(b"abCd", b"") * n),
    "empty pixels of a PNG": lambda n: png(chunk(b"IDAT", b"") * n),
    "comments of a GIF": lambda n: gif(b"\x21\xfe\x04aaaa\x00", n),
    "sub-blocks of a GIF": lambda n: gif(b"\x21\xfe" + b"\x01a" * n + b"\x00", 1),
    "entries of a TIFF": tiff,
    "segments of a JPEG": lambda n: JPEG[:2] + b"\xff\xfe\x00\x03a" * n + JPEG[2:],
    "fill bytes of a JPEG": lambda n: JPEG[:2] + b"\xff" * n + JPEG[2:],
    "comments of a PPM": lambda n: b"P6\n" + b"#a\n" * n + b"1 1\n255\nabc",
    "digits of a PPM": lambda n: b"P6\n" + b"0" * n + b"1 1\n255\nabc",
    "lines of DICOM": lambda n: dicom_bytes(
        dicom(np.asarray(NOISE), ImageComments="a\\" * n, PatientName="^" * n)
    ),
}


def seen(content: bytes) -> None:
    """What the service does with an image before the model sees it."""
    headers([content], WIDE)
    decode(content, WIDE.max_pixels, 16)


@pytest.mark.parametrize("what", IMAGES)
def test_an_image_costs_linear_time(what: str) -> None:
    small, large = IMAGES[what](SMALL), IMAGES[what](MORE * SMALL)
    assert_linear(lambda: seen(small), lambda: seen(large))


def test_sequences_in_sequences_cost_linear_time_and_are_no_fault() -> None:
    small, large = nested(20), nested(20 * MORE)
    assert_linear(lambda: seen(small), lambda: seen(large))


def test_long_records_cost_linear_time() -> None:
    def document(count: int) -> bytes:
        return json.dumps([{"age": 7, "site": "x" * count}] * 3).encode()

    small, large = document(SMALL * 50), document(SMALL * 50 * MORE)
    assert_linear(
        lambda: SCHEMA.checked(from_json(small, SCHEMA, 10)),
        lambda: SCHEMA.checked(from_json(large, SCHEMA, 10)),
    )
