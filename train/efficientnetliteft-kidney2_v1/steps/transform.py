"""Decode and resize every image once."""

from pathlib import Path

from conf.schema import ImageTraining
from datasets.common.contract import Images
from train.common.data.pixels import decode
from train.common.data.types import DecodedImages


def transform(images: Images, settings: ImageTraining) -> DecodedImages:
    """Square RGB pixels on disk, uint8 (N, S, S, 3), decoded by the reader that the service uses.

    Each image is stretched to S = `transform.image_size`, bilinear with antialiasing. What
    `transform` hides is black.
    """
    return decode(images, settings.dataset, settings.transform, Path(settings.env.cache))
