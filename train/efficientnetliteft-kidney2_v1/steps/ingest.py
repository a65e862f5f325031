"""Get the images and verify their contract before the training starts."""

from pathlib import Path

from conf.schema import ImageTraining
from datasets.common.contract import Images
from datasets.kidney2.dataset import build
from train.common.tracking.log import Run


def ingest(settings: ImageTraining, run: Run) -> Images:
    """The verified images of kidney2, from the configured source."""
    images = build(settings.dataset, Path(settings.env.cache))
    run.log_data(images)
    return images
