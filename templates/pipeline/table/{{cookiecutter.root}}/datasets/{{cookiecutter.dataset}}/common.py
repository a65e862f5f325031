"""Contract and generated sample of {{cookiecutter.dataset}}: say what your columns hold."""

import numpy as np
import pandas as pd
import pandera.pandas as pa

from datasets.common.tables import Contract

FEATURES = {
    "Age": pa.Column(float, pa.Check.in_range(0, 120), title="Age", description="In years."),
    "Sex": pa.Column(
        str, pa.Check.isin(["female", "male"]), title="Sex", description="As in the record."
    ),
    "Marker": pa.Column(
        float,
        pa.Check.in_range(0, 1000),
        nullable=True,
        title="Marker",
        description="In mg/l of blood; empty where it was not measured.",
    ),
}
OTHERS = {
    "Patient": (
        pa.Column(int, pa.Check.in_range(1, 10**9)),
        "it is the group that rows are split by: a new row is of a new patient",
    ),
    "Outcome": (pa.Column(float, pa.Check.isin([0, 1]), nullable=True), "it is the outcome"),
}
"""Columns that are no feature, each with the reason."""

CONTRACT = Contract(
    columns=pa.DataFrameSchema(FEATURES | {name: column for name, (column, _) in OTHERS.items()}),
    features=tuple(FEATURES),
    refused={name: reason for name, (_, reason) in OTHERS.items()},
    group="Patient",
)


def draw(rows: int, seed: int) -> pd.DataFrame:
    """A generated table with all columns: the outcome follows from Age and Marker, with noise."""
    rng = np.random.default_rng(seed)
    age, marker = rng.uniform(20, 90, rows).round(1), rng.gamma(2, 10, rows).round(1)
    ill = rng.random(rows) < 1 / (1 + np.exp(-(age - 55) / 10 - (marker - 20) / 10))
    return pd.DataFrame(
        {
            "Age": age,
            "Sex": rng.choice(["female", "male"], rows),
            "Marker": np.where(rng.random(rows) < 0.1, np.nan, marker),
            "Patient": rng.integers(1, max(20, rows // 3), rows),
            "Outcome": np.where(rng.random(rows) < 0.02, np.nan, ill),
        }
    )
