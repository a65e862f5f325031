"""From a request to the checked rows of a table: JSON, CSV, or a CSV file in a form."""

import csv
import io
from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from ..http.admission import InThread
from ..http.limits import Limits
from ..http.refusals import Refused
from ..http.upload import content_type, parsed, read_body, read_files
from .schema import Rows, Schema, kinds, shown

FIELD = "file"
"""Name of the multipart field that holds a CSV file."""
RECORDS = "records"
EMPTY = ("", "NA")
"""Cells of a CSV file that mean a missing value, as in training."""


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

    Raises `Refused`: for an unknown or repeated column before any row is read, and for more than
    `max_rows` rows before the next one is read.
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
    """The rows of a JSON document, unchecked. Raises `Refused`."""
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
            raise Refused(400, "bad_csv", f"the CSV has the column {shown(name)} twice")
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


def _cell(text: str, schema: dict[str, Any]) -> Any:
    """The value of a CSV cell; text that is no number stays text, and the schema refuses it."""
    if text in EMPTY:
        return None
    kind = kinds(schema)[0] if "_" not in text else "string"  # Python takes 1_000
    try:
        return {"number": float, "integer": int}.get(kind, str)(text)
    except ValueError:
        return text
