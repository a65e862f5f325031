"""Good inputs in which something was changed, for property tests."""

import json
from typing import Any

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from datasets.common.images.formats import PICTURES
from tests.datasets.test_dicom import dicom
from tests.deploy.common import dicom_bytes, encoded
from tests.deploy.tables import GOOD as RECORD
from tests.deploy.tables import HEADER, LINE

NOISE = np.random.default_rng(0).integers(0, 256, (17, 24, 3), np.uint8)
IMAGES = [
    *(encoded(Image.fromarray(NOISE), name) for name in PICTURES),
    encoded(Image.fromarray(NOISE), "JPEG", progressive=True, quality=30),
    encoded(Image.fromarray(NOISE).convert("P"), transparency=0),
    encoded(Image.fromarray(NOISE).convert("LA"), "WEBP", lossless=True),
    encoded(Image.fromarray(NOISE), "TIFF", compression="tiff_lzw"),
    dicom_bytes(dicom(NOISE)),
    dicom_bytes(dicom(NOISE[..., 0].astype(np.uint16))),
]
"""A small image in each format that is read, and in some of its variants."""
EXTREMES = (
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\0\0\0\x80",
    b"\0\1",
    b"\xff\xfe",
)
"""Sizes, counts and offsets that a reader may trust."""
ODD = ("", "NA", "1e999", "-0", "NaN", "1_0", "é" * 50, '"', "\0", "\ud800", "=1+1", "9" * 400)


@st.composite
def mutated(draw: st.DrawFn, contents: list[bytes]) -> bytes:
    """One of `contents`, changed up to six times: bytes, sizes, cuts, repeats, parts of another."""
    content = bytearray(draw(st.sampled_from(contents)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        end = at + draw(st.integers(1, 64))
        what = draw(st.sampled_from(("byte", "extreme", "cut", "repeat", "other", "end")))
        if what == "byte":
            content[at : at + 1] = bytes([draw(st.integers(0, 255))])
        elif what == "extreme":
            value = draw(st.sampled_from(EXTREMES))
            content[at : at + len(value)] = value
        elif what == "cut":
            del content[at:end]
        elif what == "repeat":
            content[at:at] = content[at:end] * draw(st.integers(1, 20))
        elif what == "other":
            content[at:end] = draw(st.sampled_from(contents))[at:]
        else:
            del content[at:]
    return bytes(content)


images = mutated(IMAGES)
csv = mutated([(HEADER + LINE * 3).encode(), HEADER.encode("utf-16"), LINE.encode()])
cells = st.one_of(st.sampled_from(ODD), st.none(), st.booleans(), st.integers(), st.floats())
trees: st.SearchStrategy[Any] = st.recursive(
    cells,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=20,
)
records = st.one_of(
    trees, st.lists(st.dictionaries(st.sampled_from([*RECORD, "x"]), trees, max_size=6), max_size=3)
)
"""What may stand in place of the records, or of the image, in JSON."""


@st.composite
def documents(draw: st.DrawFn, key: str) -> bytes:
    """JSON with anything under `key`, perhaps twice, and perhaps damaged."""
    text = json.dumps({key: draw(records)})
    if draw(st.booleans()):
        text = text[:-1] + f', "{key}": {json.dumps(draw(trees))}}}'
    return draw(mutated([text.encode("utf-8", "surrogatepass")]))


@st.composite
def forms(draw: st.DrawFn, field: str, contents: st.SearchStrategy[bytes]) -> bytes:
    """A multipart body with the boundary `b`, of parts with odd names and headers."""
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from((field, field, "../../x", "", "http://127.0.0.1/a.png")))
        file = draw(st.sampled_from(("a.png", "..\\..\\a", "/etc/passwd", "a\x00b", "ñ" * 40)))
        more = draw(st.sampled_from(("", "Content-Type: text/html; charset=utf-7\r\n", "X: y\r\n")))
        head = f'Content-Disposition: form-data; name="{name}"; filename="{file}"\r\n{more}\r\n'
        parts.append(b"--b\r\n" + head.encode() + draw(contents) + b"\r\n")
    return draw(mutated([b"".join(parts) + b"--b--\r\n"]))
