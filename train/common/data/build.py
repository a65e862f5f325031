"""Build a dataset by its name, for code that works with any dataset."""

import importlib
from pathlib import Path
from typing import Any

from conf.schema import ImageDataset, TableDataset
from datasets.common.contract import Images
from datasets.common.tables import Table


def build_images(dataset: ImageDataset, cache: Path) -> Images:
    """The verified images of `dataset`, built by `datasets/<name>/dataset.py`."""
    images: Images = _module(dataset.name).build(dataset, cache)
    return images


def build_table(dataset: TableDataset, cache: Path) -> Table:
    """The verified table of `dataset`, built by `datasets/<name>/dataset.py`."""
    table: Table = _module(dataset.name).build(dataset, cache)
    return table


def _module(name: str) -> Any:
    return importlib.import_module(f"datasets.{name}.dataset")
