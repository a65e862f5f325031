"""From the bytes of images to what is answered about them: the one path to the model.

The service and the command line both go through it, so both give the same probabilities.
"""

import base64
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .engine import Engine
from .gradcam import overlay
from .images import decode, resize
from .limits import Limits, cores
from .refusals import Refused

log = logging.getLogger(__name__)

ONNX = "model.onnx"
"""Name of the file in a model of MLflow's ONNX flavour."""


@dataclass(frozen=True)
class Facts:
    """Which model answers: its registered name and version, its run, its classes in order."""

    name: str
    version: str
    run_id: str
    classes: tuple[str, ...]

    def public(self) -> dict[str, Any]:
        """What an answer says about the model."""
        return {"name": self.name, "version": self.version, "run_id": self.run_id}


class Classifier:
    """A model that answers, once `start` has loaded it and `ready` says so."""

    def __init__(self, facts: Facts, folder: Path, limits: Limits, workers: int = 1) -> None:
        self.facts = facts
        self.limits = limits
        self.failed = False
        self._path = Path(folder, ONNX)
        self._threads = max(1, cores() // workers)
        self._engine: Engine | None = None

    @property
    def ready(self) -> bool:
        """Whether the model is loaded and warm."""
        return self._engine is not None

    def start(self) -> threading.Thread:
        """Load and warm up in the background, so that probes are answered meanwhile."""
        thread = threading.Thread(target=self._try_to_load, name="warm-up", daemon=True)
        thread.start()
        return thread

    def load(self) -> None:
        """Compile the graph and run it once."""
        engine = Engine(self._path, self._threads)
        engine.warm_up()
        outputs = len(engine.head.bias)
        if outputs != len(self.facts.classes):
            raise ValueError(
                f"{self.facts.name} {self.facts.version} has {outputs} outputs and names "
                f"{len(self.facts.classes)} classes: its metadata belongs to another model"
            )
        self._engine = engine
        log.info("%s version %s is ready", self.facts.name, self.facts.version)

    def _try_to_load(self) -> None:
        try:
            self.load()
        except Exception:
            self.failed = True
            log.critical(
                "%s cannot be loaded: the service stays unready", self._path, exc_info=True
            )

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
                image = decode(content, self.limits.max_pixels)
            except Refused as refused:
                raise refused.at(position, len(contents)) from None
            sizes.append((image.shape[1], image.shape[0]))
            pixels.append(resize(image, self._engine.image_size))
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
