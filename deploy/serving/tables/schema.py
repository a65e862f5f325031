"""The schema of a record: the JSON Schema that training made from the dataset's contract.

A pydantic model is made of it once, and every row is checked against that model. Nothing is guessed
or converted. The schema itself is the `Record` of the OpenAPI document.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from ..http.refusals import Refused

SHOWN = 3
"""Most faults in one message."""
LONGEST = 40
"""Most characters of a name or value in a message."""
TYPES = {"number": float, "integer": int, "string": str}
"""Python's type for the types of JSON Schema that a column may have."""
Rows = list[dict[str, Any]]


class Schema:
    """The JSON Schema of one record, and the checks that follow from it."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.properties: dict[str, dict[str, Any]] = schema["properties"]
        self.required: list[str] = schema["required"]
        self._record = record_model(self.properties, self.required).__pydantic_validator__

    def checked(self, rows: list[Any]) -> Rows:
        """`rows`, unchanged. Raises `Refused` (422), which names row, column and value.

        It stops at the row that brings the faults above `SHOWN`.
        """
        told: dict[str, str] = {}  # sentence: word for programs
        for number, row in enumerate(rows, start=1):
            try:
                self._record.validate_python(row)
            except ValidationError as error:
                if isinstance(row, dict):
                    self.check_names(row, f"row {number}")
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
        """Raise `Refused` (422) for the first of `names` that is no column."""
        for name in names:
            if name not in self.properties:
                raise Refused(
                    422,
                    "unknown_column",
                    f"{where}: {shown(name)} is no column of this model; it takes "
                    f"{', '.join(self.properties)}",
                )

    def example(self) -> dict[str, Any]:
        """A valid record: the first of the choices, and the middle of a range."""
        return {name: _example(each) for name, each in self.properties.items()}

    def _told(self, fault: Any, row: Any, number: int) -> str:
        place, where, value = fault["loc"], f"row {number}", shown(fault["input"])
        if not place:
            return f"{where}: {value} is no object of columns and values"
        column = str(place[0])
        if fault["type"] == "missing":
            missing = [name for name in self.required if name not in row]
            return f"{where} has no {', '.join(missing)}"
        return f"{where}: {column}={value} is not taken, {_expected(self.properties[column])}"


def record_model(properties: dict[str, Any], required: list[str]) -> type[BaseModel]:
    """The pydantic model of a record with these properties and no other.

    A column is the alias of a field, because it may have a name that no field can have.
    """
    fields: dict[str, Any] = {}
    for number, (name, schema) in enumerate(properties.items()):
        default = ... if name in required else None
        fields[f"column_{number}"] = (_type(schema), Field(default, alias=name))
    config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    return create_model("Record", __config__=config, **fields)


def _type(schema: dict[str, Any]) -> Any:
    """The type of one property: one of its choices, a number in its range, or text."""
    if "enum" in schema:
        return Literal[tuple(schema["enum"])]
    kind, *null = kinds(schema)
    plain: Any = TYPES[kind]
    limits = Field(ge=schema.get("minimum"), le=schema.get("maximum"))
    limited: Any = Annotated[plain, limits]
    return limited | None if null else limited


def kinds(schema: dict[str, Any]) -> list[str]:
    """The type of a property, and `null` where it may be empty."""
    given = schema["type"]
    return [given] if isinstance(given, str) else given


def _example(schema: dict[str, Any]) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    middle = (schema.get("minimum", 0) + schema.get("maximum", 0)) / 2
    return {"number": middle, "integer": int(middle), "string": ""}[kinds(schema)[0]]


def _expected(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return f"expected one of {', '.join(map(repr, schema['enum']))}"
    kind, *null = kinds(schema)
    limits = f" from {schema['minimum']} to {schema['maximum']}" if "minimum" in schema else ""
    return f"expected {kind}{limits}{', or nothing' if null else ''}"


def shown(value: Any) -> str:
    """`value` as ASCII, short: it comes from the client."""
    value = value[: LONGEST + 1] if isinstance(value, str) else value
    text = ascii(value) if isinstance(value, str | int | float | None) else type(value).__name__
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."
