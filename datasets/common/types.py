"""`Dataset`: what verified images and a verified table have in common."""

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

SPLITS = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}
"""Names of splits that folders and manifests may use, in any case, and what they mean."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A verified dataset, ready to be split.

    ```mermaid
    classDiagram
        class Dataset {
            name ~str~
            classes ~tuple~
            frame ~DataFrame~
            quarantined ~DataFrame~
            digest ~str~
        }
        Dataset <|-- Images
        Dataset <|-- Table
    ```
    """

    SPLIT_COLUMNS: ClassVar[tuple[str, ...]]
    """Columns of `frame` that name a sample in the written file of the splits."""
    GROUP_COLUMN: ClassVar[str]
    """Column of `frame`, int: samples with the same number stay in the same split."""

    name: str
    classes: tuple[str, ...]
    frame: pd.DataFrame
    """One row a sample, with label (int, the class number) and `GROUP_COLUMN`."""
    quarantined: pd.DataFrame
    """The samples that are left out, each with its reason."""
    digest: str
    """Hex sha256 of the whole dataset, whatever the order of its samples."""
