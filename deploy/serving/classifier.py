"""From the bytes of images to what is answered about them: the one path to the model.

The service and the command line both go through it, so both give the same probabilities.
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .engine import Engine
from .gradcam import overlay
from .images import decode
from .limits import WORKERS, Limits, cores
from .loading import Facts, Servable
from .refusals import Refused

ONNX = "model.onnx"
"""Name of the file in a model of MLflow's ONNX flavour."""


class Classifier(Servable):
    """A classifier of images."""

    def __init__(self, facts: Facts, folder: Path, limits: Limits) -> None:
        super().__init__(facts, limits)
        self._path = Path(folder, ONNX)
        self._threads = max(1, cores() // WORKERS)
        self._engine: Engine | None = None

    @property
    def ready(self) -> bool:
        """Whether the model is loaded and warm."""
        return self._engine is not None

    def load(self) -> None:
        """Compile the graph and run it once."""
        engine = Engine(self._path, self._threads)
        engine.warm_up()
        self._check_classes(len(engine.head.bias))
        self._engine = engine

    def classify(self, contents: Sequence[bytes], explain: bool = False) -> list[dict[str, Any]]:
        """One answer for each image: `label`, `probabilities` by class, and `width`, `height`.

        With `explain` also `overlay`, a PNG in base64 that is laid over the upright image. Raises
        `Refused` for the first image that is none.
        """
        if self._engine is None:
            raise Refused(503, "not_ready", "the model is still being loaded", retry_after=2)
        pixels, sizes = [], []
        for position, content in enumerate(contents, start=1):
            try:
                image, size = decode(content, self.limits.max_pixels, self._engine.image_size)
            except Refused as refused:
                raise refused.at(position, len(contents)) from None
            pixels.append(image)
            sizes.append(size)
        probabilities, features = self._engine.run(np.stack(pixels))
        best = probabilities.argmax(axis=1)
        answers = [
            {
                "label": self.facts.classes[index],
                "probabilities": dict(zip(self.facts.classes, map(float, row), strict=True)),
                "width": width,
                "height": height,
            }
            for index, row, (width, height) in zip(best, probabilities, sizes, strict=True)
        ]
        if explain:
            cams = self._engine.head.grad_cam(features, best)
            for answer, cam, size in zip(answers, cams, sizes, strict=True):
                answer["overlay"] = base64.b64encode(overlay(cam, *size)).decode()
        return answers
