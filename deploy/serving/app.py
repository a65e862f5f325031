"""The service of images: what it reads from a request, and what it answers.

BentoML's declared image fields would fetch an address that a client sends in place of a file,
answer 500 to a corrupt image, and read bodies of any size.

```mermaid
flowchart LR
    request --> admit["admit: 503 when full"] --> read["upload: 400 408 413 415"]
    read --> decode["images: 413 415 422"] --> engine --> answer["JSON"]
    engine -- "explain=true, preview=true" --> gradcam --> answer
```
"""

from pathlib import Path
from typing import Any

from starlette.requests import Request

from .classifier import Classifier
from .openapi import specification
from .refusals import Refused
from .routes import Answers, Service
from .upload import read_images

FLAGS = {"true": True, "1": True, "false": False, "0": False}


class ImageService(Service[Classifier]):
    """Answers about images, with the heatmap of an answer where it is asked for."""

    kind = Classifier
    page = Path(__file__).parent / "page"

    async def answers(self, request: Request, classifier: Classifier) -> Answers:
        """One answer for each image of `request`. Raises `Refused`."""
        explain, preview = _flag(request, "explain"), _flag(request, "preview")
        images = await read_images(request, classifier.limits)
        return await self.in_thread(classifier.classify, images, explain, preview)

    def described(self, _: Classifier) -> dict[str, Any]:
        """Nothing more: an image needs no description."""
        return {}

    def specification(self) -> dict[str, Any]:
        """The OpenAPI document, also before there is a model."""
        return specification(self.classifier)


def _flag(request: Request, name: str) -> bool:
    text = request.query_params.get(name, "false").lower()
    if text not in FLAGS:
        raise Refused(400, "bad_parameter", f"{name}={text[:20]!r}: expected true or false")
    return FLAGS[text]
