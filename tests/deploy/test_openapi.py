"""What the OpenAPI document promises holds for whatever it lets a client send.

Schemathesis makes requests from the document that the running service itself hands out, those that
it allows and those that it does not: none is answered with 500, and every answer has a status, a
type and a body that the document names.
"""

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
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
REQUESTS = 50
"""To each route, of those that its document allows, and as many of those that it does not."""
bounded = settings(
    max_examples=REQUESTS,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def described(url: str) -> dict[str, APIOperation]:
    """The operations of the OpenAPI document at `url`, by their paths."""
    found = list(schemathesis.openapi.from_url(url).get_all_operations())
    assert all(isinstance(each, Ok) for each in found)
    return {each.ok().path: each.ok() for each in found if isinstance(each, Ok)}


def answered(operation: APIOperation, mode: GenerationMode) -> set[int]:
    """The statuses of the answers to `REQUESTS` requests that `mode` makes of `operation`."""
    statuses: set[int] = set()

    @bounded
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Case) -> None:
        response = case.call()
        statuses.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    send()
    return statuses


@pytest.mark.parametrize("served", ["service", "table_service"])
def test_a_service_answers_as_its_own_document_says(
    served: str, request: pytest.FixtureRequest
) -> None:
    address = request.getfixturevalue(served)
    operations = described(f"{address}/docs.json")
    assert set(operations) >= {"/predict", "/livez", "/readyz", "/metrics"}
    for operation in operations.values():
        assert 200 in answered(operation, GenerationMode.POSITIVE)
    predict = operations["/predict"]
    assert answered(predict, GenerationMode.NEGATIVE) & {400, 415, 422}
    for kind, content in predict.definition.raw["requestBody"]["content"].items():
        if "example" in content:
            case = predict.Case(body=content["example"], media_type=kind)
            assert case.call_and_validate(checks=CHECKS).status_code == 200


def test_an_answer_that_the_document_does_not_name_is_found(table_service: str) -> None:
    document = requests.get(f"{table_service}/docs.json").json()
    del document["paths"]["/predict"]["post"]["responses"]["400"]
    narrower = schemathesis.openapi.from_dict(document)
    narrower.config.update(base_url=table_service)
    predict = narrower["/predict"]["POST"]
    with pytest.raises(FailureGroup, match="Undocumented status code"):
        answered(predict, GenerationMode.NEGATIVE)
