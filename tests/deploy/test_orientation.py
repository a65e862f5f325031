"""Every way to a model turns a picture upright alike: all formats, all eight orientations."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from datasets.common.images import ORIENTATION, read, read_image
from tests.deploy.common import SIDE, Trained, frame, run_script
from tests.deploy.test_predict import TOLERANCE, predictions
from train.common.jobs.image_prediction import images

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "JPEG2000", "GIF", "BMP", "PPM")
CARRY = ("JPEG", "PNG", "WEBP", "TIFF")
"""Those of them in which Pillow finds an orientation; XMP of others is looked at as well."""
LOSSLESS = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}}
COMPRESSED = {"TIFF": {"compression": "tiff_lzw"}}
"""Pillow reads a compressed TIFF by another road than a plain one."""


def turned(orientation: int, form: str, **options: object) -> bytes:
    """A picture wider than high that stands upright once its orientation is undone."""
    upright = frame(1, 0).resize((160, 120))
    # What undoes an orientation is its own inverse, but for the two quarter turns.
    inverse = {5: 0, 2: 0}
    del inverse
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    buffer = io.BytesIO()
    stored.save(buffer, form, exif=exif, **options)
    return buffer.getvalue()
