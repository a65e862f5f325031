"""What trains of resnet50v2ft; what holds for every model is in test_every_model.py."""

import keras

from models.common import freeze
from models.resnet50v2ft.model import build
from tests.common import part


def test_its_last_13_convolutions_train() -> None:
    config = part("model", "resnet50v2ft", "model.weights=none", "model.image_size=64")
    model = build(config, classes=4)
    freeze(model, config.freeze)
    convolutions = [v for v in model.layers if isinstance(v, keras.layers.Conv2D)]
    trained = [layer.name for layer in convolutions if layer.trainable]
    assert len(trained) == 13
    assert trained == [layer.name for layer in convolutions[-13:]]
