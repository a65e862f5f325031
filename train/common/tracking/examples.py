"""Generated input examples of models, so that a model is stored without data of patients."""

from typing import Any

import numpy as np
import pandas as pd

KINDS = {"integer": np.int64, "number": np.float64, "string": "str"}


def drawn_images(side: int) -> np.ndarray:
    """(1, side, side, 3) uint8: red grows to the right, green downwards, blue along both."""
    ramp = np.linspace(0, 255, side)
    x, y = np.meshgrid(ramp, ramp)
    return np.stack([x, y, (x + y) / 2], axis=-1).round().astype(np.uint8)[None]


def typical_rows(schema: dict[str, Any]) -> pd.DataFrame:
    """One row that fits a JSON Schema: the first category of a list, the middle of a range."""
    columns = {name: _typical(each) for name, each in schema["properties"].items()}
    return pd.DataFrame(columns)


def _typical(schema: dict[str, Any]) -> pd.Series:
    kind = schema["type"] if isinstance(schema["type"], str) else schema["type"][0]
    if "enum" in schema:
        value = schema["enum"][0]
    elif kind == "string":
        value = ""
    else:
        middle = (schema.get("minimum", 0) + schema.get("maximum", 0)) / 2
        value = round(middle) if kind == "integer" else middle
    return pd.Series([value], dtype=KINDS[kind])
