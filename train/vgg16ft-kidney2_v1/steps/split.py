"""Who is in train, validation and test."""

from omegaconf import DictConfig

from train.common.data.pixels import split_images
from train.common.data.types import Samples, Splits
from train.common.tracking.log import log_splits


def split(samples: Samples, config: DictConfig) -> Splits:
    """The official splits, or new ones without near-duplicates across them; logged as a file."""
    splits = split_images(samples, config.split)
    log_splits(splits)
    return splits
