"""From a request to the rows of a table: JSON or CSV, then checked against the model's schema.

The schema is the JSON Schema that training made from the dataset's contract. It is turned into a
validator of pydantic's once; every value is held against it, nothing is guessed or converted.
"""

import csv
import io
from typing import Any

from pydantic_core import SchemaValidator, ValidationError, core_schema
from starlette.requests import Request

from .limits import Limits
from .refusals import Refused
from .upload import content_type, parsed, read_body, read_files

FIELD = "file"
"""Name of the multipart field that holds a CSV file."""
RECORDS = "records"
EMPTY = ("", "NA")
"""What stands for no value in a CSV file, as in training."""
SHOWN = 3
"""Faults in a message."""
LONGEST = 40
"""Characters of a name or value in a message."""
Rows = list[dict[str, Any]]


class Schema:
    """The typed form of a JSON Schema of one record."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.properties: dict[str, dict[str, Any]] = schema["properties"]
        self.required: list[str] = schema["required"]
        fields = {
            name: core_schema.typed_dict_field(_type(each), required=name in self.required)
            for name, each in self.properties.items()
        }
        record = core_schema.typed_dict_schema(fields, strict=True)
        self._rows = SchemaValidator(core_schema.list_schema(record, strict=True))

    def checked(self, rows: Rows) -> Rows:
        """`rows` as they are. Raises `Refused`, 422, which names row, column and value."""
        # Before all else: of the others there are at most as many as the schema has columns.
        for number, row in enumerate(rows, start=1):
            unknown = [n for n in row if n not in self.properties] if isinstance(row, dict) else []
            if unknown:
                raise Refused(
                    422,
                    "unknown_column",
                    f"row {number}: {_shown(unknown[0])} is no column of this model; it takes "
                    f"{', '.join(self.properties)}",
                )
        try:
            return self._rows.validate_python(rows)
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False)
        code = "missing_column" if faults[0]["type"] == "missing" else "invalid_value"
        told = list(dict.fromkeys(self._told(fault, rows) for fault in faults))
        more = f"; and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
        raise Refused(422, code, "; ".join(told[:SHOWN]) + more) from None

    def example(self) -> dict[str, Any]:
        """A record that the schema takes: first choices, and the middle of ranges."""
        return {name: _example(each) for name, each in self.properties.items()}

    def _told(self, fault: Any, rows: Rows) -> str:
        row, *place = fault["loc"]
        where, value = f"row {row + 1}", _shown(fault["input"])
        if not place:
            return f"{where}: {value} is no object of columns and values"
        column = str(place[0])
        if fault["type"] == "missing":
            missing = [n for n in self.required if n not in rows[row]]
            return f"{where} has no {', '.join(missing)}"
        return f"{where}: {column}={value} is not taken, {_expected(self.properties[column])}"


async def read_records(request: Request, limits: Limits, schema: Schema) -> Rows:
    """The checked rows of `request`, one or more.

    Takes JSON, `{"records": [{...}]}` or the list alone; a text/csv body; or multipart/form-data
    with a CSV file in the field `file`. Columns of CSV are found by name. Raises `Refused`.
    """
    kind = content_type(request)
    if kind == "application/json":
        rows = _json(await read_body(request, limits))
    elif kind == "text/csv":
        rows = from_csv(await read_body(request, limits), schema)
    elif kind == "multipart/form-data":
        files = await read_files(request, limits, FIELD)
        if len(files) > 1:
            raise Refused(400, "several_files", f"{len(files)} files were sent: send one")
        rows = from_csv(files[0], schema)
    else:
        raise Refused(
            415,
            "unsupported_media_type",
            f"Content-Type {kind[:80]!r} is not taken: send application/json with "
            f"{{'{RECORDS}': [...]}}, text/csv, or multipart/form-data with the field '{FIELD}'",
        )
    if not rows:
        raise Refused(400, "no_records", "there is no row: send one or more")
    if len(rows) > limits.max_rows:
        raise Refused(
            413,
            "too_many_rows",
            f"{len(rows)} rows are more than {limits.max_rows}: send several requests",
        )
    return schema.checked(rows)


def from_csv(content: bytes, schema: Schema) -> Rows:
    """The rows of a CSV file, numbers as numbers where the schema has numbers. Raises `Refused`."""
    try:
        lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is not UTF-8: save it as CSV in UTF-8"
        raise Refused(400, "bad_csv", f"the CSV cannot be read: {reason}") from None
    except csv.Error as error:
        raise Refused(400, "bad_csv", f"the CSV cannot be read: {error}") from None
    header, *rows = [line for line in lines if line] or [[]]
    names = [name.strip() for name in header]
    if twice := [name for name in names if names.count(name) > 1]:
        raise Refused(400, "bad_csv", f"the CSV has the column {_shown(twice[0])} twice")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise Refused(
                400,
                "bad_csv",
                f"row {number} of the CSV has {len(row)} cells, its header {len(names)}: is the "
                "separator a comma?",
            )
    return [
        {n: _cell(c.strip(), schema.properties.get(n, {})) for n, c in zip(names, row, strict=True)}
        for row in rows
    ]


def _json(body: bytes) -> Rows:
    document = parsed(body)
    rows = document.get(RECORDS) if isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise Refused(
            400,
            "no_records",
            f"the JSON must be {{'{RECORDS}': [...]}} or the list alone, one object for each row",
        )
    return rows


def _type(schema: dict[str, Any]) -> core_schema.CoreSchema:
    """What pydantic checks of one property: choices, or a number in its range, or text."""
    if "enum" in schema:
        return core_schema.literal_schema(schema["enum"])
    kinds, low, high = _kinds(schema), schema.get("minimum"), schema.get("maximum")
    plain: core_schema.CoreSchema
    if kinds[0] == "number":
        plain = core_schema.float_schema(ge=low, le=high, allow_inf_nan=False, strict=True)
    elif kinds[0] == "integer":
        plain = core_schema.int_schema(ge=low, le=high, strict=True)
    else:
        plain = core_schema.str_schema(strict=True)
    return core_schema.nullable_schema(plain) if "null" in kinds else plain


def _kinds(schema: dict[str, Any]) -> list[str]:
    kinds = schema["type"]
    return [kinds] if isinstance(kinds, str) else kinds


def _cell(text: str, schema: dict[str, Any]) -> Any:
    """The value of a CSV cell; text that is no number stays text, and the schema refuses it."""
    if text in EMPTY:
        return None
    kind = _kinds(schema)[0] if schema and "_" not in text else "string"  # Python takes 1_000
    try:
        return {"number": float, "integer": int}.get(kind, str)(text)
    except ValueError:
        return text


def _example(schema: dict[str, Any]) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    middle = (schema.get("minimum", 0) + schema.get("maximum", 0)) / 2
    return {"number": middle, "integer": int(middle), "string": ""}[_kinds(schema)[0]]


def _expected(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return f"expected one of {', '.join(map(repr, schema['enum']))}"
    kinds = _kinds(schema)
    null = ", or nothing" if "null" in kinds else ""
    limits = f" from {schema['minimum']} to {schema['maximum']}" if "minimum" in schema else ""
    return f"expected {kinds[0]}{limits}{null}"


def _shown(value: Any) -> str:
    """`value` as ASCII, short: it comes from the client."""
    text = ascii(value) if isinstance(value, str | int | float | None) else type(value).__name__
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."
