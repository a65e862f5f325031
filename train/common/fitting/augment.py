r"""Random affine views; all operations are composed into one warp per image.

Each of five operations (rotation, shift, shear, zoom, flip) is a matrix. Their product is one
matrix, so the image is interpolated once instead of five times:

$$ M = C \; R(\theta) \; T(t_x, t_y) \; S(\phi) \; Z(z_x, z_y) \; F \; C^{-1} $$

where \(C\) moves the origin to the centre. Ranges have the meaning they have in Keras'
ImageDataGenerator (rotation and shear in degrees, shifts as a fraction of the side).
"""

from typing import TYPE_CHECKING

import numpy as np

from conf.schema import Augment

if TYPE_CHECKING:
    import tensorflow as tf


def random_transforms(
    rng: np.random.Generator, count: int, size: int, settings: Augment
) -> np.ndarray:
    """Transforms float32 (count, 8) for TensorFlow's projective warp, from output to input.

    An entry is `[a, b, c, d, e, f, 0, 0]`: pixel (x, y) of the view shows pixel
    (a x + b y + c, d x + e y + f) of the image.
    """

    def uniform(width: float) -> np.ndarray:
        return rng.uniform(-width, width, count)

    angle, shear = np.deg2rad(uniform(settings.rotation)), np.deg2rad(uniform(settings.shear))
    shift_x, shift_y = uniform(settings.shift) * size, uniform(settings.shift) * size
    zoom_x, zoom_y = 1 + uniform(settings.zoom), 1 + uniform(settings.zoom)
    flipped = rng.random(count) < (0.5 if settings.horizontal_flip else 0.0)
    flip = np.where(flipped, -1.0, 1.0)
    zero, one = np.zeros(count), np.ones(count)

    def matrices(*rows: list[np.ndarray]) -> np.ndarray:
        return np.stack([np.stack(row, -1) for row in rows], -2)  # (count, 3, 3)

    last = [zero, zero, one]
    rotate = matrices(
        [np.cos(angle), -np.sin(angle), zero], [np.sin(angle), np.cos(angle), zero], last
    )
    move = matrices([one, zero, shift_x], [zero, one, shift_y], last)
    slant = matrices([one, -np.sin(shear), zero], [zero, np.cos(shear), zero], last)
    scale = matrices([zoom_x * flip, zero, zero], [zero, zoom_y, zero], last)
    middle = (size - 1) / 2
    centre = np.array([[1, 0, middle], [0, 1, middle], [0, 0, 1]])
    back = np.array([[1, 0, -middle], [0, 1, -middle], [0, 0, 1]])
    product = centre @ rotate @ move @ slant @ scale @ back
    return product.reshape(count, 9)[:, :8].astype(np.float32)


def warp(images: "tf.Tensor", transforms: "tf.Tensor", fill_value: int) -> "tf.Tensor":
    """Views uint8 (B, S, S, 3) of images uint8 (B, S, S, 3): bilinear, constant outside."""
    import tensorflow as tf

    views = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),
        transforms=transforms,
        output_shape=tf.shape(images)[1:3],
        fill_value=float(fill_value),
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return tf.cast(tf.round(views), tf.uint8)
