"""No input is a fault of a service, and none leaves anything behind: memory, files, connections.

SONDA_CASES is the number of inputs: 500, and 20,000 in the long run.
"""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.deploy.common import encoded, frame
from tests.deploy.tables import CSV, GOOD, JSON
from tests.reliability.common import PNG, Running
from tests.reliability.mutations import csv, documents, forms, images

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

CASES = int(os.environ.get("SONDA_CASES", "500"))
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
REFUSED = {400, 413, 415, 422}
GROWTH_MB = 150
"""Most that the memory of a service may grow; the allocator keeps some of the largest request."""
MORE_FILES = 5
"""Most open files that it may have more: connections that are about to close."""

hostile = settings(
    max_examples=CASES // 2,
    database=None,
    suppress_health_check=list(HealthCheck),
)
image_bodies = st.one_of(
    st.tuples(st.just(PNG), images),
    st.tuples(st.just(PNG), images),
    st.tuples(st.just({"Content-Type": "application/dicom"}), images),
    st.tuples(st.just(FORM), forms("image", images)),
    st.tuples(st.just(JSON), documents("image")),
)
table_bodies = st.one_of(
    st.tuples(st.just(CSV), csv),
    st.tuples(st.just(FORM), forms("file", csv)),
    st.tuples(st.just(JSON), documents("records")),
)


@contextmanager
def leaving_nothing(service: Running) -> Iterator[Counter[int]]:
    """Counts answers by status; ends with the memory, files and connections of the beginning."""
    memory, files, descriptors = service.memory(), service.files(), service.worker.num_fds()
    answers: Counter[int] = Counter()
    yield answers
    assert set(answers) <= {200} | REFUSED, answers
    assert answers[200], "all was refused: nothing was tried beyond the first checks"
    assert service.files() == files
    assert service.worker.num_fds() <= descriptors + MORE_FILES
    assert service.memory() < memory + GROWTH_MB
    elsewhere = [
        each.raddr.ip
        for each in service.worker.net_connections("inet")
        if each.raddr and each.raddr.ip != "127.0.0.1"
    ]
    assert elsewhere == []
    assert "Traceback" not in service.log.read_text()


def test_no_image_is_a_fault_and_none_leaves_anything(plain: Running) -> None:
    session = requests.Session()

    @hostile
    @given(image_bodies)
    def send(sent: tuple[dict[str, str], bytes]) -> None:
        url = f"{plain.address}/predict?explain=1&preview=1"
        response = session.post(url, data=sent[1], headers=sent[0])
        answers[response.status_code] += 1
        assert response.status_code in {200} | REFUSED, response.text

    good = encoded(frame(0, 3))
    for _ in range(20):  # so that what is made on first use is there
        assert session.post(f"{plain.address}/predict?explain=1", data=good, headers=PNG).ok
    with leaving_nothing(plain) as answers:
        send()
    assert session.post(f"{plain.address}/predict", data=good, headers=PNG).ok


def test_no_table_is_a_fault_and_none_leaves_anything(rows: Running) -> None:
    session = requests.Session()

    @hostile
    @given(table_bodies)
    def send(sent: tuple[dict[str, str], bytes]) -> None:
        response = session.post(f"{rows.address}/predict", data=sent[1], headers=sent[0])
        answers[response.status_code] += 1
        assert response.status_code in {200} | REFUSED, response.text

    for _ in range(20):
        assert session.post(f"{rows.address}/predict", json=[GOOD]).ok
    with leaving_nothing(rows) as answers:
        send()
    assert session.post(f"{rows.address}/predict", json=[GOOD]).ok
