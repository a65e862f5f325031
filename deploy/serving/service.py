"""What the BentoML services of images share: the model in the store, and the probes.

A deployment's `service.py` adds a name, the model, and the routes with its own words:

```python
@served(MODEL)
class ResNet50V2FT(ImageClassifier):
    model = BentoModel(f"{MODEL}:latest")
    routes = ImageService(LABELS, PAGE)
```
"""

from collections.abc import Callable
from typing import Any, ClassVar

import bentoml
from bentoml.models import BentoModel

from .app import ImageService
from .classifier import Classifier
from .image import IMAGE
from .limits import Limits
from .loading import Facts

WORKERS = 1
"""Processes. One uses all cores for each image; a second one would only take memory."""
TIMEOUT_SECONDS = 60
"""After which BentoML answers in place of the service."""


class ImageClassifier:
    """Opens `routes` on `model`, once the process that serves is running."""

    model: ClassVar[BentoModel]
    """Of the class, so that `bentoml build` puts it into the Bento."""
    routes: ClassVar[ImageService]

    def __init__(self) -> None:
        stored: Any = self.model
        facts = Facts.of(stored.info.metadata)
        folder = stored.path_of("mlflow_model")
        self.classifier = Classifier(facts, folder, Limits.from_environment(), WORKERS)
        self.routes.open(self.classifier)

    def __is_alive__(self) -> bool:
        return not self.classifier.failed

    def __is_ready__(self) -> bool:
        return self.classifier.ready


def served(name: str) -> Callable[[type[ImageClassifier]], Any]:
    """A decorator that makes a BentoML service called `name` of a class."""

    def decorate(cls: type[ImageClassifier]) -> Any:
        mounted = bentoml.asgi_app(cls.routes.app(), path="/")(cls)
        limits = {"timeout": TIMEOUT_SECONDS}
        return bentoml.service(name=name, image=IMAGE, workers=WORKERS, traffic=limits)(mounted)

    return decorate
