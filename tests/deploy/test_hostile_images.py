"""No bytes are a fault of the service: damaged images, forms and JSON that nobody thought of."""

import numpy as np
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from datasets.common.images.formats import PICTURES
from deploy.serving.http.limits import Limits
from deploy.serving.http.refusals import Refused
from deploy.serving.images.decode import decode, headers
from tests.datasets.test_dicom import dicom
from tests.deploy.common import dicom_bytes, encoded
from tests.deploy.test_refusals import FORM, JSON, PNG

EXAMPLES = 60
"""Requests of each kind of hostile body; a few milliseconds each."""
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
        headers([content], Limits(max_pixels=10_000))
        pictures = decode(content, max_pixels=10_000, size=16)
    except Refused as refused:
        assert refused.status in (400, 413, 415, 422)
    else:
        assert {picture.pixels.shape for picture in pictures} == {(16, 16, 3)}
