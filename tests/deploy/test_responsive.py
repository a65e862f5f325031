"""No body stops the other requests of a service, and none costs more than linear time or memory."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from starlette.requests import Request

from datasets.common.images.decode import MOST_READS
from deploy.serving.http.admission import Admission
from deploy.serving.http.limits import Limits
from deploy.serving.http.refusals import Refused
from deploy.serving.images.decode import headers
from deploy.serving.tables.records import from_csv, from_json, read_records
from deploy.serving.tables.schema import Rows, Schema
from tests.deploy.common import LIMITS, encoded, frame
from tests.deploy.tables import CSV, JSON, body
from tests.deploy.test_refusals import EXIF, form, text

LIVE_SECONDS = 5
"""An idle service answers `/livez` in some ms; parsing some bodies on its loop took longer."""
MORE = 8
"""How many times as large the second body is: at linear cost it takes 8 times as long."""
MOST = 24
"""Most of what it may take; at quadratic cost it is 64."""
SCHEMA = Schema(
    {
        "properties": {
            "age": {"type": "integer", "minimum": 0, "maximum": 120},
            "site": {"type": "string"},
        },
        "required": ["age"],
    }
)
NAMES = ",".join(f"{number:x}" for number in range(40_000))
COLUMNS: dict[str, Callable[[int], str]] = {
    "distinct names": lambda count: ",".join(f"{number:x}" for number in range(count)),
    "one name": lambda count: ",".join(["age"] * count),
    "no names": lambda count: "," * count,
    "a long name": lambda count: "é" * count,
    "quotes": lambda count: '""' * count,
    "empty lines": lambda count: "\n" * count,
    "short rows": lambda count: "age\n" + "1,2\n" * count,
    "unknown sites": lambda count: "age,site\n" + "x,y\n" * min(count, 500),
}


def answers_while_asked(service: str, **hostile: Any) -> requests.Response:
    """The answer to a hostile body; until it comes, `/livez` is asked again and again."""
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(requests.post, f"{service}/predict", **hostile)
        while True:
            assert requests.get(f"{service}/livez", timeout=LIVE_SECONDS).ok
            if asked.done():
                return asked.result()


def test_a_header_of_40000_names_stops_nobody(table_service: str) -> None:
    response = answers_while_asked(table_service, **body(NAMES, CSV))
    assert (response.status_code, response.json()["error"]) == (422, "unknown_column")
    assert "'0' is no column of this model" in response.json()["message"]


def test_a_form_in_a_slow_charset_stops_nobody(service: str) -> None:
    slow = form(text(b"a" * (LIMITS["MAX_BYTES"] - 500), b"image"), charset="punycode")
    response = answers_while_asked(service, **slow)
    assert (response.status_code, response.json()["error"]) == (415, "unsupported_charset")


def test_json_of_many_objects_stops_nobody(table_service: str) -> None:
    response = answers_while_asked(table_service, **body("[" + "{}," * 80_000 + "0]", JSON))
    assert (response.status_code, response.json()["error"]) == (413, "too_many_values")


@pytest.mark.parametrize("what", COLUMNS)
def test_csv_costs_linear_time(what: str) -> None:
    def seconds(count: int) -> float:
        content = COLUMNS[what](count).encode()
        started = time.process_time()
        try:
            SCHEMA.checked(from_csv(content, SCHEMA, 10_000))
        except Refused as refused:
            assert len(refused.message) < 500
        return time.process_time() - started

    small = min(seconds(5_000) for _ in range(5))
    assert min(seconds(5_000 * MORE) for _ in range(3)) < MOST * max(small, 1e-4)


def test_no_row_is_read_after_the_last_allowed_one() -> None:
    rows = b"age\n" + b"7\n" * 3
    assert len(from_csv(rows, SCHEMA, 3)) == 3
    for rest in (b"7\n", b"7\n1,2\n", b'7\n"', b"7\n" * 100_000):
        with pytest.raises(Refused, match="there are more than 3 rows") as refused:
            from_csv(rows + rest, SCHEMA, 3)
        assert refused.value.status == 413


def test_no_value_is_made_of_json_with_too_many() -> None:
    with pytest.raises(Refused, match="more than 24 values") as refused:
        from_json(b"[" * 25 + b"no JSON", SCHEMA, 3)  # else it would be called none
    assert refused.value.status == 413


@pytest.mark.parametrize("kind", [CSV, JSON])
def test_rows_are_read_in_a_thread(kind: dict[str, str]) -> None:
    class Noting(Schema):
        def checked(self, rows: Rows) -> Rows:
            threads.append(threading.current_thread())
            return super().checked(rows)

    threads: list[threading.Thread] = []
    schema = Noting({"properties": SCHEMA.properties, "required": []})
    content = b"age\n7\n" if kind is CSV else b'[{"age": 7}]'

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content}

    async def rows() -> Rows:
        headers = [(b"content-type", kind["Content-Type"].encode())]
        request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
        limits = Limits()
        with Admission(limits).place() as place:
            return await read_records(request, limits, schema, place.in_thread)

    assert asyncio.run(rows()) == [{"age": 7}]
    assert threading.main_thread() not in threads
    assert len(threads) == 1


def test_messages_stay_short_whatever_was_sent() -> None:
    wrong = {"age": "x" * 100_000, "site": ["y"] * 1000}
    for rows in ([wrong] * 1000, [{"z" * 100_000: 1}], [None] * 1000, [{"age": 10**4000}]):
        with pytest.raises(Refused) as refused:
            SCHEMA.checked(rows)
        assert 10 < len(refused.value.message) < 500


def test_the_header_of_an_image_is_read_in_few_steps() -> None:
    jpeg = encoded(frame(0, 3), "JPEG")
    few = MOST_READS // 10
    [known] = headers([jpeg[:2] + EXIF * few + jpeg[2:]], Limits())
    assert (known.width, known.height) == frame(0, 3).size
    with pytest.raises(Refused, match="its header has too many parts"):
        headers([jpeg[:2] + EXIF * MOST_READS + jpeg[2:]], Limits())
    with pytest.raises(Refused, match="its header has too many parts"):
        headers([b"P6\n#" + b"a" * MOST_READS + b"\n16 16\n255\n" + b"\0" * 768], Limits())
