"""The image classifier: from the bytes of images to predictions.

The service and the command line both use it, so both give the same probabilities.
"""

import base64
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from datasets.common.images import (
    Header,
    Picture,
    Profile,
    Thresholds,
    Verdict,
    Window,
    verdicts,
)

from ..http.limits import WORKERS, Limits, cores
from ..http.refusals import Refused
from ..http.servable import Facts, Servable
from .decode import decode, headers
from .drift import Drift
from .engine import Engine
from .gradcam import overlay, preview

ONNX = "model.onnx"
"""Name of the file in a model of MLflow's ONNX flavour."""


class Classifier(Servable):
    """A classifier of images."""

    def __init__(self, facts: Facts, folder: Path, limits: Limits) -> None:
        super().__init__(facts, folder, limits)
        self._threads = max(1, cores() // WORKERS)
        self._thresholds = Thresholds.of(facts.abstention)
        self._engine: Engine | None = None
        self.drift = Drift(Profile.of(facts.drift), facts.classes)

    @property
    def ready(self) -> bool:
        """Whether the model is loaded and warm."""
        return self._engine is not None

    def load(self) -> None:
        """Compile the graph and run it once."""
        engine = Engine(self.folder / ONNX, self._threads)
        engine.warm_up()
        self._check_classes(len(engine.head.bias))
        if self._thresholds and self._thresholds.unlikeness and not engine.judges_unlikeness:
            raise ValueError(
                f"{self.facts.name} {self.facts.version} has a threshold of unlikeness and no such "
                "output: its metadata belongs to another model"
            )
        self._engine = engine

    def headers(self, contents: Sequence[bytes]) -> list[Header]:
        """The header of each image; no pixel is decoded. Raises `Refused`."""
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
        """One prediction for each image: `label`, `probabilities` by class, `width` and `height`.

        `abstained`, `reason` and `set` are the verdict of `datasets.common.images.abstention`. Each
        frame of a DICOM file is an image; several frames are numbered from 0 by `frame`. With
        `explain` there is also `overlay`, a PNG in base64 with the size of the upright image; with
        `show` also `preview`, a PNG of the model's input. `read` are the `headers`, if they are
        known already. Raises `Refused` for the first image that cannot be read.
        """
        if self._engine is None:
            raise Refused(503, "not_ready", "the model is still being loaded", retry_after=2)
        pictures: list[Picture] = []
        frames: list[dict[str, int]] = []
        for position, known in enumerate(read or self.headers(contents)):
            try:
                decoded = self._decode(contents[position])
            except Refused as refused:
                raise refused.at(position + 1, len(contents)) from None
            pictures += decoded
            frames += [{"frame": n} if known.frames > 1 else {} for n in range(len(decoded))]
        pixels = np.stack([picture.pixels for picture in pictures])
        probabilities, features, unlikeness = self._engine.run(pixels)
        found = self._verdicts(probabilities, unlikeness)
        self.drift.note(probabilities, unlikeness, found)
        best = probabilities.argmax(axis=1)
        predictions = [
            {
                "label": self.facts.classes[index],
                "probabilities": dict(zip(self.facts.classes, map(float, row), strict=True)),
                **asdict(verdict),
                "width": picture.width,
                "height": picture.height,
                **frame,
            }
            for index, row, verdict, picture, frame in zip(
                best,
                probabilities,
                found,
                pictures,
                frames,
                strict=True,
            )
        ]
        if explain:
            cams = self._engine.head.grad_cam(features, best)
            for prediction, cam, seen in zip(predictions, cams, pictures, strict=True):
                prediction["overlay"] = _text(overlay(cam, seen.width, seen.height))
        if show:
            for prediction, seen in zip(predictions, pictures, strict=True):
                prediction["preview"] = _text(preview(seen.pixels, seen.width, seen.height))
        return predictions

    def frames(self, content: bytes) -> list[np.ndarray]:
        """The images in `content`, each as the model sees it. Raises `Refused`."""
        self.headers([content])
        return [picture.pixels for picture in self._decode(content)]

    def judge(self, pixels: np.ndarray) -> tuple[np.ndarray, list[Verdict]]:
        """Probabilities (B, classes) of images uint8 (B, S, S, 3), and the verdict on each."""
        assert self._engine is not None
        probabilities, _, unlikeness = self._engine.run(pixels)
        return probabilities, self._verdicts(probabilities, unlikeness)

    def _verdicts(self, probabilities: np.ndarray, unlikeness: np.ndarray | None) -> list[Verdict]:
        return verdicts(self._thresholds, self.facts.classes, probabilities, unlikeness)

    def _decode(self, content: bytes) -> list[Picture]:
        assert self._engine is not None
        window = Window(*self.facts.window or ())
        return decode(content, self.limits.max_pixels, self._engine.image_size, window)


def _text(png: bytes) -> str:
    return base64.b64encode(png).decode()
