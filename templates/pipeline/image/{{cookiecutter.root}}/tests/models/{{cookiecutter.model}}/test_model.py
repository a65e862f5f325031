"""What trains of {{cookiecutter.model}}; what holds for every model is in test_every_model.py."""

from models.common import freeze
from models.{{cookiecutter.model}}.model import build
from tests.common import part


def test_what_is_behind_conv4_block5_trains() -> None:
    config = part("model", "{{cookiecutter.model}}", "model.weights=none", "model.image_size=32")
    model = build(config, classes=2)
    freeze(model, config.freeze)
    trained = {weight.path.split("/")[0] for weight in model.trainable_weights}
    assert "conv4_block6_1_conv" in trained and "conv4_block5_1_conv" not in trained
