"""kvasir4: where its images come from, and what is verified before they are used."""

from pathlib import Path

from conf.schema import ImageDataset
from datasets.common.contract import Images
from datasets.common.sources import load
from datasets.kvasir4.common import CLASSES
from datasets.kvasir4.synthetic import draw


def build(config: ImageDataset, cache: Path) -> Images:
    """The verified images of `config` (`conf.schema.ImageDataset`), from the source it names.

    `cache` holds generated images, downloads and digests. Raises `conf.errors.UserError`.
    """
    return load(config, cache, draw, drawn=CLASSES)
