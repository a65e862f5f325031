"""Which images are in train, validation and test."""

from conf.schema import ImageTraining
from train.common.data.split import split_images
from train.common.data.types import DecodedImages, Splits
from train.common.tracking.log import Run


def split(images: DecodedImages, settings: ImageTraining, run: Run) -> Splits[DecodedImages]:
    """The official splits, or new ones, as `split.by` says; logged as a file."""
    splits = split_images(images, settings.split)
    run.log_splits(splits)
    return splits
