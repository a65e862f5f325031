"""The contract of {{cookiecutter.dataset}}: say what your columns hold."""

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
