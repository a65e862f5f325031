"""Get the images and verify the contract before anything trains."""

from omegaconf import DictConfig

from datasets.{{cookiecutter.dataset}}.dataset import build
from train.common.data.pixels import gather
from train.common.tracking.log import log_data
from train.common.data.types import Samples


def ingest(config: DictConfig) -> Samples:
    """The verified images of {{cookiecutter.dataset}}, from the configured source."""
    samples = gather(build, config)
    log_data(samples)
    return samples
