"""What the BentoML services share: the model in the store, the routes and the probes.

A deployment's `service.py` adds its name, container image and model, and its texts to the routes:

```python
@served(MODEL, IMAGE)
class ResNet50V2FT(Served):
    model = BentoModel(f"{MODEL}:latest")
    routes = ImageService(LABELS, PAGE)
```
"""

import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import bentoml
from bentoml.images import Image
from bentoml.models import BentoModel

from .http.access import Access, Rules
from .http.audit import Audit
from .http.limits import ANSWER_SECONDS, WORKERS, Limits
from .http.middleware import OneShape
from .http.routes import Service
from .http.sample import find
from .http.servable import Facts

log = logging.getLogger(__name__)

CARD = "card.html"
"""The model card, a file beside the model; models of older revisions have none."""
SPARE_SECONDS = 10
"""How much longer BentoML's own time limit is than that of our routes."""


class Served:
    """A service that opens `routes` on `model` when its process starts."""

    model: ClassVar[BentoModel]
    """An attribute of the class, so that `bentoml build` puts the model into the Bento."""
    routes: ClassVar[Service[Any]]

    def __init__(self) -> None:
        stored: Any = self.model
        facts = Facts.of(stored.info.metadata)
        folder = stored.path_of("mlflow_model")
        self.classifier = self.routes.kind(
            facts, folder, Limits.from_environment(self.routes.limits)
        )
        card = Path(folder, CARD)
        self.routes.card = card if card.is_file() else None
        log.warning("%s version %s answers %s", facts.name, facts.version, self.routes.rules.told())
        self.routes.open(self.classifier)

    def __is_alive__(self) -> bool:
        return not self.classifier.failed

    def __is_ready__(self) -> bool:
        return self.classifier.ready


def served(name: str, image: Image) -> Callable[[type[Served]], Any]:
    """A decorator: the class becomes the BentoML service `name` in the container `image`.

    BentoML's own metrics are off, because they add a line for every path that is requested, without
    limit; `/metrics` is our own route. Its access log is off too, because it holds whatever stands
    in a path; `Audit` writes ours. BentoML's time limit is longer than ours and never reached,
    because its answer would not pass through `OneShape`.
    """

    def decorate(cls: type[Served]) -> Any:
        cls.routes.sample = find(Path(inspect.getfile(cls)).parent)
        cls.routes.rules = Rules.from_environment()  # before anything is served without them
        service: Any = bentoml.service(
            name=name,
            image=image,
            workers=WORKERS,
            traffic={"timeout": ANSWER_SECONDS + SPARE_SECONDS},
            metrics={"enabled": False},
            logging={"access": {"enabled": False}},
        )(bentoml.asgi_app(cls.routes.app(), path="/")(cls))
        service.add_asgi_middleware(Audit)  # the outermost one
        service.add_asgi_middleware(OneShape)
        service.add_asgi_middleware(Access, rules=cls.routes.rules)
        return service

    return decorate
