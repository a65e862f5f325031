"""kidney2: where its slices come from, and what is verified before they are used."""

from pathlib import Path

from conf.schema import ImageDataset
from datasets.common.contract import Images
from datasets.common.sources import load
from datasets.kidney2.common import CLASSES
from datasets.kidney2.synthetic import SLICES, draw


def build(config: ImageDataset, cache: Path) -> Images:
    """The verified slices of `config` (`conf.schema.ImageDataset`), from the source it names.

    `cache` holds generated slices, downloads and digests. Raises `conf.errors.UserError`.
    """
    return load(config, cache, draw, SLICES, CLASSES)
