"""What is particular to vgg16ft: Caffe's preprocessing, and the block that trains."""

import keras
import numpy as np

from models.common import freeze
from models.vgg16ft.model import build
from tests.common import part

CONFIG = part("model", "vgg16ft", "model.weights=none", "model.image_size=32")


def test_pixels_are_prepared_as_the_published_weights_expect_them() -> None:
    model = build(CONFIG, classes=2)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    prepared = keras.Model(model.input, model.get_layer("centring").output)
    expected = keras.applications.vgg16.preprocess_input(pixels.astype(np.float32))
    np.testing.assert_allclose(prepared.predict(pixels, verbose=0), expected, atol=1e-4)


def test_its_last_block_trains() -> None:
    model = build(CONFIG, classes=2)
    freeze(model, CONFIG.freeze)
    convolutions = [v for v in model.layers if isinstance(v, keras.layers.Conv2D)]
    trained = [layer.name for layer in convolutions if layer.trainable]
    assert len(convolutions) == 13
    assert trained == ["block5_conv1", "block5_conv2", "block5_conv3"]
