"""From a request to the rows of a table: JSON or CSV, then checked against the model's schema.

The schema is the JSON Schema that training made from the dataset's contract. It is turned into a
validator of pydantic's once; every value is held against it, nothing is guessed or converted.
"""

import csv
import io
from collections.abc import Callable, Iterable
from typing import Any

from pydantic_core import SchemaValidator, ValidationError, core_schema
from starlette.requests import Request

from ..http.admission import InThread
from ..http.limits import Limits
from ..http.refusals import Refused
from ..http.upload import content_type, parsed, read_body, read_files

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
        self._record = SchemaValidator(record)

    def checked(self, rows: list[Any]) -> Rows:
        """`rows` as they are. Raises `Refused`, 422, which names row, column and value.

        It stops at the row in which the faults get more than a message shows.
        """
        told: dict[str, str] = {}  # sentence: word for programs
        for number, row in enumerate(rows, start=1):
            if isinstance(row, dict):
                self.check_names(row, f"row {number}")
            try:
                self._record.validate_python(row)
            except ValidationError as error:
                for fault in error.errors(include_url=False, include_context=False):
                    code = "missing_column" if fault["type"] == "missing" else "invalid_value"
                    told[self._told(fault, row, number)] = code
            if len(told) > SHOWN:
                break
        if told:
            more = "; and more" if len(told) > SHOWN else ""
            first = next(iter(told.values()))
            raise Refused(422, first, "; ".join(list(told)[:SHOWN]) + more)
        return rows

    def check_names(self, names: Iterable[str], where: str) -> None:
        """Raise `Refused`, 422, for the first of `names` that is no column."""
        for name in names:
            if name not in self.properties:
                raise Refused(
                    422,
                    "unknown_column",
                    f"{where}: {_shown(name)} is no column of this model; it takes "
                    f"{', '.join(self.properties)}",
                )

    def example(self) -> dict[str, Any]:
        """A record that the schema takes: first choices, and the middle of ranges."""
        return {name: _example(each) for name, each in self.properties.items()}

    def _told(self, fault: Any, row: Any, number: int) -> str:
        place, where, value = fault["loc"], f"row {number}", _shown(fault["input"])
        if not place:
            return f"{where}: {value} is no object of columns and values"
        column = str(place[0])
        if fault["type"] == "missing":
            missing = [name for name in self.required if name not in row]
            return f"{where} has no {', '.join(missing)}"
        return f"{where}: {column}={value} is not taken, {_expected(self.properties[column])}"


async def read_records(
    request: Request, limits: Limits, schema: Schema, in_thread: InThread
) -> Rows:
    """The checked rows of `request`, one or more.

    Takes JSON, `{"records": [{...}]}` or the list alone; a text/csv body; or multipart/form-data
    with a CSV file in the field `file`. Columns of CSV are found by name. Raises `Refused`.
    """
    kind = content_type(request)
    read = from_csv
    if kind == "application/json":
        content, read = await read_body(request, limits), from_json
    elif kind == "text/csv":
        content = await read_body(request, limits)
    elif kind == "multipart/form-data":
        several = Refused(400, "several_files", "the form has more than one file: send one")
        content = (await read_files(request, limits, FIELD, 1, several))[0]
    else:
        raise Refused(
            415,
            "unsupported_media_type",
            f"Content-Type {kind[:80]!r} is not taken: send application/json with "
            f"{{'{RECORDS}': [...]}}, text/csv, or multipart/form-data with the field '{FIELD}'",
        )
    return await in_thread(_checked, read, content, schema, limits.max_rows)


def _checked(
    read: Callable[[bytes, Schema, int], list[Any]], content: bytes, schema: Schema, max_rows: int
) -> Rows:
    rows = read(content, schema, max_rows)
    if not rows:
        raise Refused(400, "no_records", "there is no row: send one or more")
    return schema.checked(rows)


def from_csv(content: bytes, schema: Schema, max_rows: int) -> Rows:
    """The rows of a CSV file, numbers as numbers where the schema has numbers.

    Raises `Refused`: for a column that is unknown or named twice before any row is read, and for
    more than `max_rows` before the next is.
    """
    try:
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
        lines = (line for line in csv.reader(text, strict=True) if line)
        names = _header(next(lines, []), schema)
        rows: Rows = []
        for number, line in enumerate(lines, start=1):
            if number > max_rows:
                raise _too_many(max_rows)
            rows.append(_row(line, number, names, schema))
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is not UTF-8: save it as CSV in UTF-8"
        raise Refused(400, "bad_csv", f"the CSV cannot be read: {reason}") from None
    except csv.Error as error:
        raise Refused(400, "bad_csv", f"the CSV cannot be read: {error}") from None
    return rows


def from_json(content: bytes, schema: Schema, max_rows: int) -> list[Any]:
    """What stands for the rows in a JSON document, unchecked. Raises `Refused`."""
    document = parsed(content, 2 * (max_rows + 1) * (len(schema.properties) + 1))
    rows = document.get(RECORDS) if isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise Refused(
            400,
            "no_records",
            f"the JSON must be {{'{RECORDS}': [...]}} or the list alone, one object for each row",
        )
    if len(rows) > max_rows:
        raise _too_many(max_rows)
    return rows


def _header(cells: list[str], schema: Schema) -> list[str]:
    """The names of the columns, of which there are at most as many as the schema has."""
    names: dict[str, None] = {}
    for cell in cells:
        name = cell.strip()
        schema.check_names([name], "the header of the CSV")
        if name in names:
            raise Refused(400, "bad_csv", f"the CSV has the column {_shown(name)} twice")
        names[name] = None
    return list(names)


def _row(line: list[str], number: int, names: list[str], schema: Schema) -> dict[str, Any]:
    if len(line) != len(names):
        raise Refused(
            400,
            "bad_csv",
            f"row {number} of the CSV has {len(line)} cells, its header {len(names)}: is the "
            "separator a comma?",
        )
    cells = zip(names, line, strict=True)
    return {name: _cell(cell.strip(), schema.properties[name]) for name, cell in cells}


def _too_many(max_rows: int) -> Refused:
    return Refused(
        413, "too_many_rows", f"there are more than {max_rows} rows: send several requests"
    )


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
    kind = _kinds(schema)[0] if "_" not in text else "string"  # Python takes 1_000
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
    value = value[: LONGEST + 1] if isinstance(value, str) else value
    text = ascii(value) if isinstance(value, str | int | float | None) else type(value).__name__
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."
