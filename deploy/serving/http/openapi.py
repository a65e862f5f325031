"""The description of the routes that clients and their generators read, `/docs.json`."""

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..version import VERSION
from .sample import SAMPLE, media_type

if TYPE_CHECKING:
    from ..images.classifier import Classifier

ERRORS = {
    400: ("no_image", "there is no field 'image' in the form, only: 'file'"),
    408: ("too_slow", "the body did not arrive within 30 s: send it again"),
    413: ("too_large", "the body is larger than 20971520 bytes: send less at a time"),
    415: ("not_an_image", "the content is not an image of a format read: JPEG, PNG, ..."),
    422: ("undecodable", "the JPEG image cannot be decoded: image file is truncated"),
    503: ("overloaded", "32 requests are under way: try again in 2 s"),
    504: ("too_long", "there is no answer after 60 s: send less at a time"),
}
"""An example of each refusal: the word for programs and the sentence for people."""


def specification(classifier: "Classifier | None", sample: Path | None) -> dict[str, Any]:
    """OpenAPI 3.0 of the service; the examples name the classes of the model it serves.

    `sample`, an image, is the example of what it takes: in base64, and as a file that the route
    `/sample-input` gives out.
    """
    classes = list(classifier.facts.classes) if classifier else ["a", "b"]
    model = classifier.facts.public() if classifier else {}
    share = round(1 / len(classes), 4)
    prediction = {
        "label": classes[0],
        "probabilities": dict.fromkeys(classes, share),
        "width": 640,
        "height": 480,
    }
    answer = {"model": model, "predictions": [prediction], "milliseconds": 48.1}
    responses = described(
        "One prediction for each image, and each frame of DICOM, in the order they were sent.",
        answer,
        ERRORS,
    )
    return service_document(
        "3.0.3",
        model,
        "Classifies medical images. For research, not for diagnosis.",
        _predict(responses, sample),
        _schemas(),
    )


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
            "/livez": {"get": _probe("200 while the process is sound.")},
            "/readyz": {"get": _probe("200 once the model is loaded and warm, 503 before.")},
            "/metrics": {"get": _probe("Counters in Prometheus' text format.")},
        },
        "components": {"schemas": schemas},
    }


def _predict(responses: dict[str, Any], sample: Path | None) -> dict[str, Any]:
    file = {"type": "string", "format": "binary"}
    form = {
        "type": "object",
        "required": ["image"],
        "properties": {"image": {"type": "array", "items": file, "minItems": 1}},
    }
    text = {"type": "string", "format": "byte"}
    document = {
        "type": "object",
        "required": ["image"],
        "properties": {"image": {"oneOf": [text, {"type": "array", "items": text, "minItems": 1}]}},
    }
    return {
        "operationId": "predict",
        "summary": "Probabilities of each class for one or several images.",
        "parameters": [
            {
                "name": "explain",
                "in": "query",
                "schema": {"type": "boolean", "default": False},
                "description": "Also return a Grad-CAM overlay of the label as PNG.",
                "example": True,
            },
            {
                "name": "preview",
                "in": "query",
                "schema": {"type": "boolean", "default": False},
                "description": "Also return what the model saw as PNG: a browser shows no DICOM.",
            },
        ],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": form},
                "application/json": {"schema": document} | _in_base64(sample),
                "image/*": {"schema": file} | _by_address(sample),
                "application/dicom": {"schema": file},
            },
        },
        "responses": responses,
    }


def _in_base64(sample: Path | None) -> dict[str, Any]:
    if sample is None:
        return {}
    return {"example": {"image": base64.b64encode(sample.read_bytes()).decode()}}


def _by_address(sample: Path | None) -> dict[str, Any]:
    """The sample as OpenAPI refers to an example that is no text."""
    if sample is None:
        return {}
    summary = f"A file to send as it is, as {media_type(sample)}"
    return {"examples": {"sample": {"summary": summary, "externalValue": SAMPLE}}}


def _probe(description: str) -> dict[str, Any]:
    return {"responses": {"200": {"description": description}}}


def reference(name: str) -> dict[str, str]:
    """A schema that stands under `components`."""
    return {"$ref": f"#/components/schemas/{name}"}


def example(schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """A JSON body of `schema`, with an example of it."""
    return {"application/json": {"schema": schema, "example": value}}


def _schemas() -> dict[str, Any]:
    whole = {"type": "integer"}
    overlay = {"type": "string", "format": "byte", "description": "A PNG, base64."}
    frame = {"type": "integer", "description": "From 0, where a DICOM file has several."}
    optional = {"overlay": overlay, "preview": overlay, "frame": frame}
    return answer_schemas({"width": whole, "height": whole}, optional)


def answer_schemas(
    more: dict[str, Any] | None = None, optional: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The schemas of answers and errors; a prediction has `more` and `optional` properties."""
    text, number = {"type": "string"}, {"type": "number"}
    prediction = {
        "label": text,
        "probabilities": {"type": "object", "additionalProperties": number},
    }
    return {
        "Error": _object({"error": text, "message": text}),
        "Model": _object({"name": text, "version": text, "run_id": text}),
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
