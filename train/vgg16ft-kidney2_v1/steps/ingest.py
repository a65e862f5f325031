"""Get the images and verify the contract before anything trains."""

from omegaconf import DictConfig

from datasets.kidney2.dataset import build
from train.common.data.pixels import gather
from train.common.data.types import Samples
from train.common.tracking.log import log_data


def ingest(config: DictConfig) -> Samples:
    """The verified slices of kidney2, from the configured source."""
    samples = gather(build, config)
    log_data(samples)
    return samples
