"""Get the images and verify the contract before anything trains."""

from omegaconf import DictConfig

from datasets.kidney2.dataset import build
from train.common.images import gather
from train.common.run import log_data
from train.common.values import Samples


def ingest(config: DictConfig) -> Samples:
    """The verified images of kidney2, from the configured source."""
    samples = gather(build, config)
    log_data(samples)
    return samples
