"""The routes of every service: the page, `/predict`, `/model`, `/card`, `/docs.json`, `/metrics`.

They are an ASGI application of their own that BentoML mounts at `/`. `images/service.py` and
`tables/service.py` add how requests are read and what is answered.

```mermaid
classDiagram
    class Service["Service"]{
        labels ~Labels~
        texts ~Labels~
        classifier ~Servable~
        sample ~Path~

        -__init__(labels ~Labels~, texts ~Labels~) None
        +open(classifier ~Servable~) None
        +app() ~Starlette~
        #read(request ~Request~, classifier ~Servable~, place ~Place~) ~Work~
        #described() ~dict~
        #specification() ~dict~
    }
    Service <|-- ImageService
    Service <|-- TableService
    Service <|-- Servable
    Service <|-- Admission
```
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from .access import Rules
from .admission import RETRY_SECONDS, Admission, Place
from .audit import asked
from .limits import ANSWER_SECONDS, Limits
from .metrics import Metrics, exposition
from .middleware import failure
from .openapi import with_access
from .refusals import Refused
from .sample import SAMPLE, media_type
from .servable import Servable

SHARED = Path(__file__).parents[1] / "pages" / "shared"
"""Folder of what all pages load."""
Labels = Mapping[str, Mapping[str, str]]
Predictions = list[dict[str, Any]]
Model = TypeVar("Model", bound=Servable)


@dataclass(frozen=True)
class Work:
    """The prediction that a request asks for, once the request is read; it runs in a thread."""

    predict: Callable[[], Predictions]
    samples: int
    """Images or rows."""
    pixels: int = 0
    """Pixels that it takes from the budget of all requests."""


class Service(ABC, Generic[Model]):
    """The routes and their state: the model, and the requests in progress.

    `labels` are the names of the classes for people, by language and class. `texts` are the `title`
    and the `notice` of the page, by language. `open` is called when the serving process runs.
    """

    kind: type[Model]
    """Class of the model."""
    page: Path
    """Folder of the page, with an `index.html`."""
    limits: ClassVar[Limits] = Limits()
    """Limits that the environment may change."""
    reasons: ClassVar[tuple[str, ...]] = ()
    """Reasons for which the model may abstain, as the entry `reason` of a prediction says them."""

    def __init__(self, labels: Labels, texts: Labels) -> None:
        self.labels = labels
        self.texts = texts
        self.rules = Rules()
        self.sample: Path | None = None  # known once there is a deployment
        self.card: Path | None = None  # and this once there is a model
        self.classifier: Model | None = None
        self.metrics: Metrics | None = None
        self._admission: Admission | None = None

    def open(self, classifier: Model) -> None:
        """Load `classifier`, and serve it as soon as it is ready."""
        self.metrics = Metrics(classifier.facts.classes, self.reasons)
        self.classifier = classifier
        classifier.start()

    def app(self) -> Starlette:
        """The ASGI application to mount at `/`."""
        return Starlette(
            routes=[
                Route("/", self._page),
                Route("/model", self._model),
                Route("/card", self._card),
                Route("/predict", self._predict, methods=["POST"]),
                Route("/docs.json", self._docs),
                Route("/metrics", self._metrics),
                Route(f"/{SAMPLE}", self._sample),
                Mount("/static", StaticFiles(directory=self.page)),
                Mount("/shared", StaticFiles(directory=SHARED)),
            ]
        )

    @abstractmethod
    async def read(self, request: Request, classifier: Model, place: Place) -> Work:
        """Read and check `request`; the prediction that it asks for. Raises `Refused`."""

    @abstractmethod
    def described(self, classifier: Model) -> dict[str, Any]:
        """Entries of `/model` for the page, beside facts, classes, labels and texts."""

    @abstractmethod
    def specification(self) -> dict[str, Any]:
        """The OpenAPI document; there is one before the model is loaded, too."""

    async def _page(self, _: Request) -> Response:
        return FileResponse(self.page / "index.html")

    async def _sample(self, _: Request) -> Response:
        if self.sample is None:
            raise HTTPException(404)
        return FileResponse(self.sample, media_type=media_type(self.sample))

    async def _card(self, _: Request) -> Response:
        """The model card, as its run logged it."""
        if self.card is None:
            raise HTTPException(404)
        return FileResponse(self.card, media_type="text/html")

    async def _model(self, _: Request) -> Response:
        """What the page shows about the model."""
        if self.classifier is None:
            return refusal(Refused(503, "not_ready", "the service is starting", RETRY_SECONDS))
        facts = self.classifier.facts
        return JSONResponse(
            {
                **facts.served(),
                "classes": facts.classes,
                "labels": self.labels,
                "texts": self.texts,
                "card": self.card is not None,
                "max_bytes": self.classifier.limits.max_bytes,
                **self.described(self.classifier),
            }
        )

    async def _docs(self, _: Request) -> Response:
        return JSONResponse(with_access(self.specification(), self.rules))

    async def _metrics(self, _: Request) -> Response:
        content, media_type = await asyncio.to_thread(exposition)
        return Response(content, media_type=media_type)

    async def _predict(self, request: Request) -> Response:
        started = time.perf_counter()
        try:
            response: Response = await self._answer(request, started)
        except Refused as refused:
            response = refusal(refused)
            if self.metrics:
                self.metrics.rejections.labels(refused.code).inc()
        except Exception as error:
            response = failure(request.scope, error)
        if self.metrics:
            self.metrics.requests.labels(response.status_code).inc()
            self.metrics.seconds.observe(time.perf_counter() - started)
        return response

    async def _answer(self, request: Request, started: float) -> Response:
        classifier = self.classifier
        if classifier is None or not classifier.ready:
            raise Refused(503, "not_ready", "the model is still being loaded", RETRY_SECONDS)
        admission = self._admission = self._admission or Admission(classifier.limits)
        with admission.place() as place:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    work = await self.read(place.counted(request), classifier, place)
                    asked(request.scope).samples = work.samples
                    return await place.compute(
                        work.pixels, self._computed, work, classifier, started
                    )
            except TimeoutError:
                raise Refused(
                    504,
                    "too_long",
                    f"there is no answer after {ANSWER_SECONDS} s: send less at a time",
                ) from None

    def _computed(self, work: Work, classifier: Model, started: float) -> Response:
        """Predict, and encode the answer as JSON here too: for 10,000 rows that takes a while."""
        predictions = work.predict()
        if self.metrics:
            for label, count in Counter(each["label"] for each in predictions).items():
                self.metrics.predictions.labels(label).inc(count)
            for reason, count in Counter(each.get("reason") for each in predictions).items():
                if reason:
                    self.metrics.abstentions.labels(reason).inc(count)
        return JSONResponse(
            {
                "model": classifier.facts.public(),
                "predictions": predictions,
                "milliseconds": round((time.perf_counter() - started) * 1000, 1),
            }
        )


def refusal(refused: Refused) -> JSONResponse:
    """The answer of a refusal."""
    headers: dict[str, str] = {}
    if refused.retry_after is not None:
        headers["Retry-After"] = str(refused.retry_after)
    body = {"error": refused.code, "message": refused.message}
    return JSONResponse(body, refused.status, headers)
