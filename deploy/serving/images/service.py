"""The image service: how it reads a request, and what it answers.

It does not use BentoML's image fields: they fetch an address that a client sends in place of a
file, answer 500 to a corrupt image, and read bodies of any size.

```mermaid
flowchart LR
    request --> admit["admission: 503 when full"] --> read["bodies: 400 408 413 415 503"]
    read --> header["headers: pixels, 413 415 422"] --> queue["admission: 503 after a while"]
    queue --> decode["decode: 422"] --> engine --> answer["JSON"]
    engine -- "explain=true, preview=true" --> gradcam --> answer
```
"""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from datasets.common.images import REASONS

from ..http.admission import RETRY_SECONDS, Place
from ..http.metrics import show_drift
from ..http.refusals import Refused
from ..http.routes import Service, Work, refusal
from .bodies import read_images
from .classifier import Classifier
from .openapi import specification

FLAGS = {"true": True, "1": True, "false": False, "0": False}


class ImageService(Service[Classifier]):
    """Classifies images, with a Grad-CAM overlay if the request asks for it."""

    kind = Classifier
    page = Path(__file__).parents[1] / "pages" / "page"
    reasons = REASONS

    def open(self, classifier: Classifier) -> None:
        """Load `classifier`, serve it as soon as it is ready, and show its drift at `/metrics`."""
        super().open(classifier)
        show_drift(classifier.drift.report)

    def app(self) -> Starlette:
        """The ASGI application to mount at `/`; `/drift` is a route of images only."""
        app = super().app()
        app.add_route("/drift", self._drift)
        return app

    async def read(self, request: Request, classifier: Classifier, place: Place) -> Work:
        """The prediction of each image in `request`, and their pixels. Raises `Refused`."""
        explain, preview = _flag(request, "explain"), _flag(request, "preview")
        images = await read_images(request, classifier.limits, place.in_thread)
        known = await place.in_thread(classifier.headers, images)
        predict = partial(classifier.classify, images, explain, preview, known)
        frames, pixels = (sum(each.frames for each in known), sum(each.pixels for each in known))
        return Work(predict, frames, pixels)

    async def _drift(self, _: Request) -> Response:
        """Whether recent predictions are as those of validation images."""
        if self.classifier is None:
            return refusal(Refused(503, "not_ready", "the service is starting", RETRY_SECONDS))
        return JSONResponse(await asyncio.to_thread(self.classifier.drift.report))

    def described(self, classifier: Classifier) -> dict[str, Any]:
        """The thresholds for abstention; null for a model that never abstains."""
        return {"abstention": classifier.facts.abstention}

    def specification(self) -> dict[str, Any]:
        """The OpenAPI document; there is one before the model is loaded, too."""
        return specification(self.classifier, self.sample)


def _flag(request: Request, name: str) -> bool:
    text = request.query_params.get(name, "false").lower()
    if text not in FLAGS:
        raise Refused(400, "bad_parameter", f"{name}={text[:20]!r}: expected true or false")
    return FLAGS[text]
