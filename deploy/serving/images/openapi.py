"""The OpenAPI document of an image service, `/docs.json`."""

import base64
from pathlib import Path
from typing import Any

from datasets.common.images import NOT_SURE, REASONS, UNLIKE

from ..http.openapi import answer_schemas, answered, described, service_document
from ..http.sample import SAMPLE, media_type
from .classifier import Classifier

ERRORS = {
    400: ("no_image", "there is no field 'image' in the form, only: 'file'"),
    408: ("too_slow", "the body did not arrive within 30 s, ...: send it again"),
    413: ("too_large", "the body is larger than 20971520 bytes: send less at a time"),
    415: ("not_an_image", "the content is not an image of a format read: JPEG, PNG, ..."),
    422: ("undecodable", "the JPEG image cannot be decoded: image file is truncated"),
    503: ("overloaded", "32 requests are under way: try again in 2 s"),
    504: ("too_long", "there is no answer after 60 s: send less at a time"),
}
"""An example of each refusal: the word for programs and the sentence for people."""


def specification(classifier: Classifier | None, sample: Path | None) -> dict[str, Any]:
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
        "abstained": True,
        "reason": NOT_SURE,
        "set": classes,
        "width": 640,
        "height": 480,
    }
    answer = {"model": model, "predictions": [prediction], "milliseconds": 48.1}
    responses = described(
        "One prediction for each image, and each frame of DICOM, in the order they were sent.",
        answer,
        ERRORS,
    )
    document = service_document(
        "3.0.3",
        model,
        "Classifies medical images. For research, not for diagnosis.",
        _predict(responses, sample),
        _schemas() | {"Drift": _drift()},
    )
    said = "Whether recent predictions are as those of validation images."
    document["paths"]["/drift"] = {"get": answered(said, "Drift")}
    return document


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


def _schemas() -> dict[str, Any]:
    whole = {"type": "integer"}
    overlay = {"type": "string", "format": "byte", "description": "A PNG, base64."}
    frame = {"type": "integer", "description": "From 0, where a DICOM file has several."}
    optional = {"overlay": overlay, "preview": overlay, "frame": frame}
    return answer_schemas(_verdict() | {"width": whole, "height": whole}, optional)


def _drift() -> dict[str, Any]:
    whole = {"type": "integer"}
    number, text = {"type": "number"}, {"type": "string"}
    shares = {"type": "array", "items": number}
    quantity = {
        "type": "object",
        "required": ["psi", "bins", "validation", "window"],
        "properties": {
            "psi": number | {"description": "Population stability index."},
            "bins": {"type": "array", "items": text},
            "validation": shares,
            "window": shares,
        },
    }
    properties = {
        "alarm": {"type": "boolean", "nullable": True, "description": "Null: not compared."},
        "why": text | {"nullable": True, "description": "Why it was not compared."},
        "window": whole | {"description": "Predictions compared, the last ones."},
        "validation": whole | {"nullable": True, "description": "Validation images; null: none."},
        "p_value": number | {"nullable": True, "description": "Of no drift, by permutation."},
        "quantities": {"type": "object", "additionalProperties": quantity},
    }
    return {"type": "object", "required": list(properties), "properties": properties}


def _verdict() -> dict[str, Any]:
    """The schemas of the verdict, which are null for a model without thresholds."""
    return {
        "abstained": {
            "type": "boolean",
            "nullable": True,
            "description": "Whether the model abstains; label and probabilities are there anyway. "
            "Null for a model that has no thresholds.",
        },
        "reason": {
            "type": "string",
            "nullable": True,
            "enum": [*REASONS, None],
            "description": f"{UNLIKE}: the image is unlike the training images. {NOT_SURE}: the "
            "set has not exactly one class.",
        },
        "set": {
            "type": "array",
            "nullable": True,
            "items": {"type": "string"},
            "description": "The classes that are possible at the coverage of the training.",
        },
    }
