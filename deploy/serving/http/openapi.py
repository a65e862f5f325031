"""The parts of `/docs.json`, the OpenAPI document, that all services share.

`images/openapi.py` and `tables/openapi.py` add what their requests and answers hold.
"""

from typing import Any

from ..version import VERSION
from .access import LIMITED, OPEN, Rules

HOW = ("evidence", "first", "forced", "rollback", "rolled_back", "allowed", "none")
"""How a model became champion, in the words of `deploy/importing/promotion.py`."""


def described(
    description: str, answer: dict[str, Any], errors: dict[int, tuple[str, str]]
) -> dict[str, Any]:
    """The responses of `/predict`: the answer and each refusal, with examples."""
    responses: dict[str, Any] = {
        "200": {"description": description, "content": example(reference("Answer"), answer)}
    }
    for status, (code, message) in errors.items():
        responses[str(status)] = {
            "description": code.replace("_", " "),
            "content": example(reference("Error"), {"error": code, "message": message}),
        }
    responses["503"]["headers"] = {
        "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}
    }
    return responses


def service_document(
    version: str,
    model: dict[str, Any],
    description: str,
    predict: dict[str, Any],
    schemas: dict[str, Any],
) -> dict[str, Any]:
    """OpenAPI `version` of a service: the routes that all have, and its own `predict`."""
    return {
        "openapi": version,
        "info": {
            "title": model.get("name", "Sonda"),
            "version": VERSION,
            "description": description,
            "x-model": model,
        },
        "servers": [{"url": "."}],
        "paths": {
            "/predict": {"post": predict},
            "/model": {"get": answered("What is served, and how it was promoted.", "Served")},
            "/livez": {"get": _probe("200 while the process works.")},
            "/readyz": {"get": _probe("200 once the model is loaded and warm, 503 before.")},
            "/metrics": {"get": _probe("Counters in Prometheus' text format.")},
        },
        "components": {"schemas": schemas},
    }


def with_access(document: dict[str, Any], rules: Rules) -> dict[str, Any]:
    """`document` without the routes that `rules` close, and with the key and rate they ask for."""
    paths = {path: known for path, known in document["paths"].items() if not rules.closes(path)}
    document = document | {"paths": paths}
    operations = [(path, each) for path, known in paths.items() for each in known.values()]
    if rules.keys:
        document["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        for path, operation in operations:
            if path not in OPEN:
                operation["security"] = [{"bearer": []}, {"header": []}]
                operation["responses"]["401"] = _refusal("The key is missing or unknown.")
    if rules.rate.per_minute:
        for path, operation in operations:
            if path == LIMITED:
                operation["responses"]["429"] = _refusal("Too many requests in a minute.")
    return document


def _refusal(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": reference("Error")}},
    }


def answered(description: str, name: str) -> dict[str, Any]:
    """A route that answers JSON of the schema `name`, once the service has started."""
    content = {"application/json": {"schema": reference(name)}}
    starting = {"application/json": {"schema": reference("Error")}}
    return {
        "responses": {
            "200": {"description": description, "content": content},
            "503": {"description": "not ready", "content": starting},
        }
    }


def _probe(description: str) -> dict[str, Any]:
    return {"responses": {"200": {"description": description}}}


def reference(name: str) -> dict[str, str]:
    """A reference to a schema under `components`."""
    return {"$ref": f"#/components/schemas/{name}"}


def example(schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """The content of a JSON body: its schema and an example."""
    return {"application/json": {"schema": schema, "example": value}}


def answer_schemas(
    more: dict[str, Any] | None = None, optional: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The schemas of answers and errors; a prediction also has `more`, and may have `optional`."""
    text, number = {"type": "string"}, {"type": "number"}
    prediction = {
        "label": text,
        "probabilities": {"type": "object", "additionalProperties": number},
    }
    return {
        "Error": _object({"error": text, "message": text}),
        "Model": _object({"name": text, "version": text, "run_id": text}),
        "Served": _object(
            {"name": text, "version": text, "run_id": text, "promotion": reference("Promotion")},
            dict.fromkeys(("git_revision", "data_digest", "lock_sha256", "pipeline"), text),
        ),
        "Promotion": _object(
            {"how": {"type": "string", "enum": list(HOW)}},
            {"at": text, "because": text, "evidence": {"type": "object"}},
        ),
        "Prediction": _object(prediction | (more or {}), optional),
        "Answer": _object(
            {
                "model": reference("Model"),
                "predictions": {"type": "array", "items": reference("Prediction")},
                "milliseconds": number,
            }
        ),
    }


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    properties = required | (optional or {})
    return {"type": "object", "required": list(required), "properties": properties}
