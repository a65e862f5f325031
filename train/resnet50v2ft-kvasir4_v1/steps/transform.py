"""Decode and resize every image once."""

from omegaconf import DictConfig

from train.common.data.pixels import decode
from train.common.data.types import Samples


def transform(samples: Samples, config: DictConfig) -> Samples:
    """`samples` with their pixels on disk, uint8 (N, S, S, 3). Fits nothing."""
    return decode(samples, config)
