r"""Random views of images: one affine warp, and one change of colour.

Each of five operations (rotation, shift, shear, zoom, flip) is a matrix. Their product is one
matrix, so the image is interpolated once instead of five times:

$$ M = C \; R(\theta) \; T(t_x, t_y) \; S(\phi) \; Z(z_x, z_y) \; F \; C^{-1} $$

where \(C\) moves the origin to the centre. Ranges have the meaning they have in Keras'
ImageDataGenerator (rotation and shear in degrees, shifts as a fraction of the side). Colours change
as in torchvision's ColorJitter: brightness and contrast are factors of a pixel and of its distance
from the middle grey, saturation is the factor of its distance from its own grey.
"""

from typing import TYPE_CHECKING

import numpy as np

from conf.schema import Augment

if TYPE_CHECKING:
    import tensorflow as tf


WARP = 8
"""Numbers of a view that describe its warp."""
GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the brightness of a pixel (ITU-R BT.601)."""


def random_views(rng: np.random.Generator, count: int, size: int, settings: Augment) -> np.ndarray:
    """Parameters float32 (count, 11) of random views, for `view`.

    The first 8 are for TensorFlow's projective warp, `[a, b, c, d, e, f, 0, 0]`: pixel (x, y) of
    the view shows pixel (a x + b y + c, d x + e y + f) of the image. The last 3 are the factors of
    brightness, contrast and saturation.
    """
    later = rng.spawn(1)[0]  # a source of its own keeps the other draws as they are

    def uniform(width: float, source: np.random.Generator = rng) -> np.ndarray:
        return source.uniform(-width, width, count)

    angle, shear = np.deg2rad(uniform(settings.rotation)), np.deg2rad(uniform(settings.shear))
    shift_x, shift_y = uniform(settings.shift) * size, uniform(settings.shift) * size
    zoom_x, zoom_y = 1 + uniform(settings.zoom), 1 + uniform(settings.zoom)
    flipped = rng.random(count) < (0.5 if settings.horizontal_flip else 0.0)
    mirrored = later.random(count) < (0.5 if settings.vertical_flip else 0.0)
    colours = [
        1 + uniform(width, later)
        for width in (settings.brightness, settings.contrast, settings.saturation)
    ]
    flip_x, flip_y = np.where(flipped, -1.0, 1.0), np.where(mirrored, -1.0, 1.0)
    zero, one = np.zeros(count), np.ones(count)

    def matrices(*rows: list[np.ndarray]) -> np.ndarray:
        return np.stack([np.stack(row, -1) for row in rows], -2)  # (count, 3, 3)

    last = [zero, zero, one]
    rotate = matrices(
        [np.cos(angle), -np.sin(angle), zero], [np.sin(angle), np.cos(angle), zero], last
    )
    move = matrices([one, zero, shift_x], [zero, one, shift_y], last)
    slant = matrices([one, -np.sin(shear), zero], [zero, np.cos(shear), zero], last)
    scale = matrices([zoom_x * flip_x, zero, zero], [zero, zoom_y * flip_y, zero], last)
    middle = (size - 1) / 2
    centre = np.array([[1, 0, middle], [0, 1, middle], [0, 0, 1]])
    back = np.array([[1, 0, -middle], [0, 1, -middle], [0, 0, 1]])
    product = centre @ rotate @ move @ slant @ scale @ back
    warps = product.reshape(count, 9)[:, :WARP]
    return np.concatenate([warps, np.stack(colours, -1)], 1).astype(np.float32)


def view(images: "tf.Tensor", views: "tf.Tensor", settings: Augment) -> "tf.Tensor":
    """Views uint8 (B, S, S, 3) of images uint8 (B, S, S, 3): bilinear, constant outside."""
    import tensorflow as tf

    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),
        transforms=views[:, :WARP],
        output_shape=tf.shape(images)[1:3],
        fill_value=float(settings.fill_value),
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    if settings.brightness or settings.contrast or settings.saturation:
        warped = _coloured(warped, views[:, WARP:])
    return tf.cast(tf.round(warped), tf.uint8)


def _coloured(images: "tf.Tensor", factors: "tf.Tensor") -> "tf.Tensor":
    """Images float32 (B, S, S, 3) with other colours, clipped to 0 to 255."""
    import tensorflow as tf

    brightness, contrast, saturation = tf.split(factors[:, None, None, :], 3, axis=-1)
    images = (images * brightness - 127.5) * contrast + 127.5
    grey = tf.reduce_sum(images * tf.constant(GREY), axis=-1, keepdims=True)  # (B, S, S, 1)
    return tf.clip_by_value(grey + saturation * (images - grey), 0.0, 255.0)
