"""Whatever is sent to a table service gets an answer that says what is wrong, never a 500."""

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.deploy.tables import CSV, GOOD, HEADER, JSON, LIMITS, LINE, body, post


def good(**changes: Any) -> dict[str, Any]:
    return {"json": {"records": [GOOD, GOOD | changes]}}


REFUSALS: dict[str, tuple[dict[str, Any], int, str, str]] = {
    # what is sent: (arguments of the request, status, word for programs, part of the sentence)
    "an empty body": (body("", JSON), 400, "bad_json", "not JSON"),
    "JSON that is none": (body("{", JSON), 400, "bad_json", "not JSON"),
    "JSON without end": (body("[" * 5_000, JSON), 400, "bad_json", "not JSON"),
    "JSON of many lists": (body("[" + "[]," * 80_000, JSON), 413, "too_many_values",
                           "more than 6012 values"),
    "a huge number": (body('[{"Core": ' + "9" * 5000 + "}]", JSON), 400, "bad_json", "not JSON"),
    "one record alone": ({"json": GOOD}, 400, "no_records", "one object for each row"),
    "no records": ({"json": {"records": []}}, 400, "no_records", "no row"),
    "a number for records": ({"json": {"records": 7}}, 400, "no_records", "must be"),
    "records that are none": ({"json": [1]}, 422, "invalid_value", "row 1: 1 is no object"),
    "a missing column": ({"json": [{"Core": 2017}]}, 422, "missing_column",
                         "row 1 has no Species, Light_ISF, Soil"),
    "an extra column": (good(Time=14), 422, "unknown_column", "row 2: 'Time' is no column of this"),
    "an unknown category": (good(Species="Ulmus"), 422, "invalid_value",
                            "row 2: Species='Ulmus' is not taken, expected one of 'Acer sacch"),
    "text for a number": (good(Light_ISF="0.1"), 422, "invalid_value",
                          "row 2: Light_ISF='0.1' is not taken, expected number from 0 to 1"),
    "a truth for a number": (good(Light_ISF=True), 422, "invalid_value", "Light_ISF=True"),
    "a number out of range": (good(Light_ISF=1.5), 422, "invalid_value", "Light_ISF=1.5"),
    "no number": (body(json.dumps([GOOD | {"Light_ISF": float("nan")}]), JSON), 422,
                  "invalid_value", "Light_ISF=nan"),
    "no value": (good(Soil=None), 422, "invalid_value", "row 2: Soil=None is not taken"),
    "a list for a value": (good(Soil=["Sterile"]), 422, "invalid_value", "Soil=list"),
    "half a character": (good(Soil="\ud800"), 422, "invalid_value", r"Soil='\ud800'"),
    "an empty CSV": (body("", CSV), 400, "no_records", "no row"),
    "a CSV without rows": (body(HEADER, CSV), 400, "no_records", "no row"),
    "a CSV in Latin-1": (body("Größe\n1\n".encode("latin-1"), CSV), 400, "bad_csv", "byte 2"),
    "a picture called CSV": (body(b"\x89PNG\r\n", CSV), 400, "bad_csv", "byte 0"),
    "a CSV with an open quote": (body(HEADER + '"', CSV), 400, "bad_csv", "cannot be read"),
    "a CSV with a short row": (body(HEADER + LINE + "1,2\n", CSV), 400, "bad_csv",
                               "row 2 of the CSV has 2 cells, its header 4"),
    "a CSV with a column twice": (body("Core,Core\n1,2\n", CSV), 400, "bad_csv", "'Core' twice"),
    "a CSV with semicolons": (body("Species;Core\nQuercus alba;2017\n", CSV), 422,
                              "unknown_column", "'Species;Core' is no column of this model"),
    "a CSV with a missing column": (body("Species\nQuercus alba\n", CSV), 422, "missing_column",
                                    "row 1 has no Light_ISF, Core, Soil"),
    "a CSV with an extra column": (body("Alive," + HEADER + "Dead," + LINE, CSV), 422,
                                   "unknown_column", "'Alive' is no column of this model"),
    "a CSV with text for a number": (body(HEADER + LINE + LINE.replace("0.1", "dark"), CSV), 422,
                                     "invalid_value", "row 2: Light_ISF='dark'"),
    "a CSV with an underscored number": (body(HEADER + LINE.replace("2017", "2_017"), CSV), 422,
                                         "invalid_value", "Core='2_017'"),
    "another field": ({"files": {"table": HEADER + LINE}}, 400, "no_file", "no field 'file'"),
    "text in place of a file": ({"files": {"file": (None, HEADER)}}, 400, "text_not_file", "text"),
    "too many records": ({"json": [{}] * (LIMITS["MAX_ROWS"] + 1)}, 413, "too_many_rows",
                         "there are more than 500 rows"),
    "a form in another charset": (
        body("--b--", {"Content-Type": "multipart/form-data; boundary=b; charset=punycode"}), 415,
        "unsupported_charset", "'punycode' is not taken"),
    "two files": ({"files": [("file", HEADER + LINE)] * 2}, 400, "several_files",
                  "more than one file"),
    "too many rows": (body(HEADER + LINE * (LIMITS["MAX_ROWS"] + 1), CSV), 413, "too_many_rows",
                      "there are more than 500 rows"),
    "too many bytes": (body(b" " * (LIMITS["MAX_BYTES"] + 1), CSV), 413, "too_large", "larger"),
    "a web form": ({"data": {"Species": "x"}}, 415, "unsupported_media_type", "send application"),
    "no type": ({"data": b"x"}, 415, "unsupported_media_type", "is not taken"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSALS)
def test_bad_input_is_refused_with_a_reason(what: str, table_service: str) -> None:
    arguments, status, code, part = REFUSALS[what]
    response = post(table_service, **arguments)
    assert (response.status_code, response.json()["error"]) == (status, code), response.text
    assert part in response.json()["message"]


cells = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20))
values = st.one_of(
    cells, st.lists(cells, max_size=2), st.dictionaries(st.text(), cells, max_size=2)
)
hostile = st.one_of(
    st.lists(st.dictionaries(st.sampled_from([*GOOD, "Time", ""]), values), max_size=4),
    st.lists(st.builds(lambda name, value: GOOD | {name: value}, st.sampled_from([*GOOD]), values)),
    values,
)


def assert_no_fault(response: requests.Response) -> None:
    assert response.status_code in (200, 400, 413, 415, 422), response.text
    assert "predictions" in response.json() or response.json()["message"]


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=hostile, keyed=st.booleans())
def test_no_json_is_a_fault_of_the_service(table_service: str, rows: Any, keyed: bool) -> None:
    document = json.dumps({"records": rows} if keyed else rows)
    assert_no_fault(post(table_service, data=document.encode(), headers=JSON))


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tail=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_no_csv_is_a_fault_of_the_service(table_service: str, tail: bytes) -> None:
    for start in (b"", HEADER.encode(), (HEADER + LINE).encode()):
        assert_no_fault(post(table_service, data=start + tail, headers=CSV))


@pytest.mark.slow
def test_a_full_service_says_when_to_come_back(table_service: str) -> None:
    waiting = []
    try:
        for _ in range(LIMITS["MAX_READING"]):
            client = socket.create_connection(("127.0.0.1", urlsplit(table_service).port or 0))
            client.sendall(
                b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
                b"Content-Length: 1000\r\n\r\nSpecies"
            )
            waiting.append(client)
        for _ in range(200):
            response = post(table_service, json=[GOOD])
            if response.status_code != 200:
                break
        assert response.status_code == 503
        assert response.json()["error"] == "overloaded"
        assert int(response.headers["Retry-After"]) > 0
        assert requests.get(f"{table_service}/readyz").ok
        for client in waiting:
            client.settimeout(LIMITS["READ_SECONDS"] + 10)
            assert client.recv(100).startswith(b"HTTP/1.1 408")
    finally:
        for client in waiting:
            client.close()
    assert post(table_service, json=[GOOD]).ok
