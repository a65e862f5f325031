"""The JSON Schema of a record, made from the contract: a model takes it along to its service."""

from collections.abc import Iterable
from typing import Any

import pandera.pandas as pa

from datasets.common.tables.contract import Contract


def json_schema(contract: Contract, features: Iterable[str]) -> dict[str, Any]:
    """JSON Schema (2020-12) of one record: types, categories, ranges, titles, descriptions."""
    properties = {name: json_property(contract.columns.columns[name]) for name in features}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [n for n, each in properties.items() if "null" not in each["type"]],
        "properties": properties,
    }


def json_property(column: pa.Column) -> dict[str, Any]:
    """JSON Schema of a column; its checks are `isin` or `in_range`."""
    kind = {"i": "integer", "f": "number"}.get(column.dtype.type.kind, "string")
    schema: dict[str, Any] = {"type": [kind, "null"] if column.nullable else kind}
    for check in column.checks:
        if check.name == "isin":
            null = [None] if column.nullable else []
            schema["enum"] = [*check.statistics["allowed_values"], *null]
        elif check.name == "in_range":
            schema["minimum"] = check.statistics["min_value"]
            schema["maximum"] = check.statistics["max_value"]
    words = {"title": column.title, "description": column.description}
    return schema | {key: word for key, word in words.items() if word}
