"""The service of images: what it reads from a request, and what it answers.

BentoML's declared image fields would fetch an address that a client sends in place of a file,
answer 500 to a corrupt image, and read bodies of any size.

```mermaid
flowchart LR
    request --> admit["admission: 503 when full"] --> read["upload: 400 408 413 415"]
    read --> header["headers: pixels, 413 415 422"] --> line["admission: 503 after a while"]
    line --> decode["images: 422"] --> engine --> answer["JSON"]
    engine -- "explain=true, preview=true" --> gradcam --> answer
```
"""

from functools import partial
from pathlib import Path
from typing import Any

from starlette.requests import Request

from ..http.admission import Admission
from ..http.refusals import Refused
from ..http.routes import Service, Work
from .bodies import read_images
from .classifier import Classifier
from .openapi import specification

FLAGS = {"true": True, "1": True, "false": False, "0": False}


class ImageService(Service[Classifier]):
    """Answers about images, with the heatmap of an answer where it is asked for."""

    kind = Classifier
    page = Path(__file__).parents[1] / "pages" / "page"

    async def read(self, request: Request, classifier: Classifier, admission: Admission) -> Work:
        """One answer for each image of `request`, weighed by their pixels. Raises `Refused`."""
        explain, preview = _flag(request, "explain"), _flag(request, "preview")
        images = await read_images(request, classifier.limits, admission.in_thread)
        known = await admission.in_thread(classifier.headers, images)
        answers = partial(classifier.classify, images, explain, preview, known)
        return Work(answers, sum(each.pixels for each in known))

    def described(self, _: Classifier) -> dict[str, Any]:
        """Nothing more: an image needs no description."""
        return {}

    def specification(self) -> dict[str, Any]:
        """The OpenAPI document, also before there is a model."""
        return specification(self.classifier, self.sample)


def _flag(request: Request, name: str) -> bool:
    text = request.query_params.get(name, "false").lower()
    if text not in FLAGS:
        raise Refused(400, "bad_parameter", f"{name}={text[:20]!r}: expected true or false")
    return FLAGS[text]
