"""Prepare tables for a model."""

from dataclasses import replace

import numpy as np
import pandas as pd

from datasets.common.tables import Table
from train.common.data.types import Splits


def as_floats(table: Table) -> Table:
    """`table` with its numbers as float64; categories do not change. Nothing is fitted."""
    numbers = {name: np.float64 for name in table.features if name not in table.categories}
    return replace(table, frame=table.frame.astype(numbers))


def features(splits: Splits[Table], rows: np.ndarray) -> pd.DataFrame:
    """The features of `rows`, a frame (len(rows), features)."""
    return splits.data.frame.iloc[rows][list(splits.data.features)]
