"""From the bytes of images to what is answered about them: the one path to the model.

The service and the command line both go through it, so both give the same probabilities.
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datasets.common.images import Header, Picture, Window

from ..http.limits import WORKERS, Limits, cores
from ..http.refusals import Refused
from ..loading import Facts, Servable
from .decode import decode, headers
from .engine import Engine
from .gradcam import overlay, preview

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

    def headers(self, contents: Sequence[bytes]) -> list[Header]:
        """What each of `contents` says of itself, nothing decoded. Raises `Refused`."""
        found = headers(contents, self.limits)
        if self.facts.window is None and any(known.format == "DICOM" for known in found):
            raise Refused(
                415,
                "dicom_unknown_window",
                f"DICOM is not taken by {self.facts.name} version {self.facts.version}: its "
                "training did not note the window (dataset.dicom); train it again",
            )
        return found

    def classify(
        self,
        contents: Sequence[bytes],
        explain: bool = False,
        show: bool = False,
        read: Sequence[Header] | None = None,
    ) -> list[dict[str, Any]]:
        """One answer for each image: `label`, `probabilities` by class, and `width`, `height`.

        Each frame of a DICOM file is an image, and where there are several, `frame` numbers them
        from 0. With `explain` also `overlay`, a PNG in base64 that is laid over the upright image;
        with `show` also `preview`, a PNG of what the model saw. `read` are their `headers`, where
        they were read before. Raises `Refused` for the first image that is none.
        """
        if self._engine is None:
            raise Refused(503, "not_ready", "the model is still being loaded", retry_after=2)
        pictures: list[Picture] = []
        frames: list[dict[str, int]] = []
        for position, known in enumerate(read or self.headers(contents)):
            try:
                found = self._decode(contents[position])
            except Refused as refused:
                raise refused.at(position + 1, len(contents)) from None
            pictures += found
            frames += [{"frame": n} if known.frames > 1 else {} for n in range(len(found))]
        pixels = np.stack([picture.pixels for picture in pictures])
        probabilities, features = self._engine.run(pixels)
        best = probabilities.argmax(axis=1)
        answers = [
            {
                "label": self.facts.classes[index],
                "probabilities": dict(zip(self.facts.classes, map(float, row), strict=True)),
                "width": picture.width,
                "height": picture.height,
                **frame,
            }
            for index, row, picture, frame in zip(
                best, probabilities, pictures, frames, strict=True
            )
        ]
        if explain:
            cams = self._engine.head.grad_cam(features, best)
            for answer, cam, seen in zip(answers, cams, pictures, strict=True):
                answer["overlay"] = _text(overlay(cam, seen.width, seen.height))
        if show:
            for answer, seen in zip(answers, pictures, strict=True):
                answer["preview"] = _text(preview(seen.pixels, seen.width, seen.height))
        return answers

    def _decode(self, content: bytes) -> list[Picture]:
        assert self._engine is not None
        window = Window(*self.facts.window or ())
        return decode(content, self.limits.max_pixels, self._engine.image_size, window)


def _text(png: bytes) -> str:
    return base64.b64encode(png).decode()
