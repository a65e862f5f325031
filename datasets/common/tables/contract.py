"""The contract of a table: what its file must hold, and what of it a model may see."""

from dataclasses import dataclass

import pandera.pandas as pa


@dataclass(frozen=True)
class Contract:
    """What a table's file must hold, and what of it a model may see."""

    columns: pa.DataFrameSchema
    features: tuple[str, ...]
    """What may be a feature, in the order of the model's inputs."""
    refused: dict[str, str]
    """Every other column, with the reason why it may not be a feature."""
    group: str
    """The column of groups: rows of one group are not independent and stay in one split."""
