"""{{cookiecutter.dataset}}: where its images come from, and what is verified."""

from pathlib import Path

from conf.schema import ImageDataset

from datasets.common.contract import Images
from datasets.common.sources import load
from .common import CLASSES
from .synthetic import draw


def build(config: ImageDataset, cache: Path) -> Images:
    """The verified images of `config` (`conf.schema.ImageDataset`), from the source it names.

    `cache` holds generated images, downloads and digests. Raises `conf.errors.UserError`.
    """
    return load(config, cache, draw, drawn=CLASSES)
