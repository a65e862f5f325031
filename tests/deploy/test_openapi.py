"""What the OpenAPI document promises holds for whatever it lets a client send.

Schemathesis makes requests from the document that the running service itself hands out, those that
it allows and those that it does not: none is answered with 500, and every answer has a status, a
type and a body that the document names.
"""

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
bounded = settings(
    max_examples=50,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
"""The same 50 requests to each route in every run."""


@pytest.fixture(scope="module")
def images(service: str) -> BaseSchema:
    return schemathesis.openapi.from_url(f"{service}/docs.json")


@pytest.fixture(scope="module")
def rows(table_service: str) -> BaseSchema:
    return schemathesis.openapi.from_url(f"{table_service}/docs.json")


of_images = schemathesis.pytest.from_fixture("images")
of_rows = schemathesis.pytest.from_fixture("rows")


@of_images.parametrize()
@bounded
def test_the_image_service_answers_as_its_document_says(case: Case) -> None:
    case.call_and_validate(checks=CHECKS)


@of_rows.parametrize()
@bounded
def test_the_table_service_answers_as_its_document_says(case: Case) -> None:
    case.call_and_validate(checks=CHECKS)
