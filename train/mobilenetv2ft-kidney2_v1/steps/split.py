"""Who is in train, validation and test."""

from omegaconf import DictConfig

from train.common.images import split_images
from train.common.run import log_splits
from train.common.values import Samples, Splits


def split(samples: Samples, config: DictConfig) -> Splits:
    """The official splits, or new ones without near-duplicates across them; logged as a file."""
    splits = split_images(samples, config.split)
    log_splits(splits)
    return splits
