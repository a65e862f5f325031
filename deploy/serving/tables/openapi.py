"""The OpenAPI document of a table service, `/docs.json`; a record has the model's own schema."""

from typing import Any

from ..http.openapi import answer_schemas, described, reference, service_document
from .classifier import TableClassifier
from .records import FIELD, RECORDS

ERRORS = {
    400: ("bad_csv", "row 2 of the CSV has 3 cells, its header 4: is the separator a comma?"),
    408: ("too_slow", "the body did not arrive within 30 s, ...: send it again"),
    413: ("too_many_rows", "there are more than 10000 rows: send several requests"),
    415: ("unsupported_media_type", "Content-Type 'text/plain' is not taken: send ..."),
    422: ("invalid_value", "row 1: Light=7 is not taken, expected number from 0 to 1"),
    503: ("overloaded", "32 requests are under way: try again in 2 s"),
    504: ("too_long", "there is no answer after 60 s: send less at a time"),
}
"""An example of each refusal: the word for programs and the sentence for people."""


def specification(classifier: TableClassifier | None) -> dict[str, Any]:
    """OpenAPI 3.1 of the service; its examples are valid requests."""
    classes = list(classifier.facts.classes) if classifier else ["a", "b"]
    model = classifier.facts.public() if classifier else {}
    rows = classifier.rows if classifier else None
    share = round(1 / len(classes), 4)
    prediction = {"label": classes[0], "probabilities": dict.fromkeys(classes, share)}
    answer = {"model": model, "predictions": [prediction], "milliseconds": 12.3}
    responses = described(
        "One prediction for each row, in the order they were sent.", answer, ERRORS
    )
    record = classifier.schema if classifier and rows else {"type": "object"}
    return service_document(
        "3.1.0",
        model,
        "Classifies rows of a table. For research.",
        _predict(responses, rows.example() if rows else {}),
        answer_schemas() | {"Record": record},
    )


def _predict(responses: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    records = {"type": "array", "items": reference("Record"), "minItems": 1}
    keyed = {"type": "object", "required": [RECORDS], "properties": {RECORDS: records}}
    form = {
        "type": "object",
        "required": [FIELD],
        "properties": {FIELD: {"type": "string", "contentMediaType": "text/csv"}},
    }
    cells = ["" if value is None else str(value) for value in example.values()]
    table = f"{','.join(example)}\n{','.join(cells)}\n"
    return {
        "operationId": "predict",
        "summary": "Probabilities of each class for one or several rows.",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"oneOf": [keyed, records]},
                    "example": {RECORDS: [example]},
                },
                "text/csv": {"schema": {"type": "string"}, "example": table},
                "multipart/form-data": {"schema": form},  # OpenAPI cannot show a file in a form
            },
        },
        "responses": responses,
    }
