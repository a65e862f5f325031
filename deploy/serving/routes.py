"""The routes that every service has: the page, `/predict`, `/model`, `/docs.json`, `/metrics`.

They are an ASGI application of their own that BentoML mounts at `/`. What is read and what is
answered is said by the two services, of images (`app`) and of tables (`table_app`).

```mermaid
classDiagram
    class Service["Service"]{
        labels ~Labels~
        texts ~Labels~
        classifier ~Servable~
        under_way ~int~

        -__init__(labels ~Labels~, texts ~Labels~) None
        +open(classifier ~Servable~) None
        +app() ~Starlette~
        #answers(request ~Request~) ~list~
        #described() ~dict~
        #specification() ~dict~
    }
    Service <|-- ImageService
    Service <|-- TableService
    Service <|-- Servable
```
"""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from .limits import cores
from .loading import Servable
from .metrics import Metrics, exposition
from .refusals import Refused

log = logging.getLogger(__name__)

SHARED = Path(__file__).parent / "shared"
"""Folder of what all pages load."""
RETRY_SECONDS = 2
"""What a client is told to wait when the service is full: a few answers' time."""
HEADERS = {
    # The page needs nothing from elsewhere, and nothing may get in.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' blob: data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

Labels = Mapping[str, Mapping[str, str]]
Answers = list[dict[str, Any]]
Model = TypeVar("Model", bound=Servable)


class Service(ABC, Generic[Model]):
    """State of the routes: the model, and how many requests are under way.

    `labels` are names for people, by language and class; `texts` the `title` and the `notice` of
    the page, by language. `open` is called once the process that serves is running.
    """

    kind: type[Model]
    """What answers."""
    page: Path
    """Folder of the page, with an `index.html`."""

    def __init__(self, labels: Labels, texts: Labels) -> None:
        self.labels = labels
        self.texts = texts
        self.classifier: Model | None = None
        self.metrics: Metrics | None = None
        self.under_way = 0
        self._threads: anyio.CapacityLimiter | None = None

    def open(self, classifier: Model) -> None:
        """Serve `classifier`, from the moment it is ready."""
        self.metrics = Metrics(classifier.facts.classes)
        self.classifier = classifier
        classifier.start()

    def app(self) -> Starlette:
        """The ASGI application to mount at `/`."""
        return Starlette(
            routes=[
                Route("/", self._page),
                Route("/model", self._model),
                Route("/predict", self._predict, methods=["POST"]),
                Route("/docs.json", self._docs),
                Route("/metrics", self._metrics),
                Mount("/static", StaticFiles(directory=self.page)),
                Mount("/shared", StaticFiles(directory=SHARED)),
            ],
            exception_handlers={HTTPException: _http_error, Exception: _unexpected},
        )

    @abstractmethod
    async def answers(self, request: Request, classifier: Model) -> Answers:
        """What the model says of all that `request` holds. Raises `Refused`."""

    @abstractmethod
    def described(self, classifier: Model) -> dict[str, Any]:
        """What the page needs to know beside facts, classes, labels and texts."""

    @abstractmethod
    def specification(self) -> dict[str, Any]:
        """The OpenAPI document, also before there is a model."""

    async def in_thread(self, work: Callable[..., Answers], *arguments: Any) -> Answers:
        """`work(*arguments)` in one of as many threads as there are cores."""
        self._threads = self._threads or anyio.CapacityLimiter(cores())
        return await anyio.to_thread.run_sync(work, *arguments, limiter=self._threads)

    async def _page(self, _: Request) -> Response:
        return FileResponse(self.page / "index.html", headers=HEADERS)

    async def _model(self, _: Request) -> Response:
        """What the page shows about the model."""
        if self.classifier is None:
            return _refusal(Refused(503, "not_ready", "the service is starting", RETRY_SECONDS))
        facts = self.classifier.facts
        return JSONResponse(
            {
                **facts.public(),
                "classes": facts.classes,
                "labels": self.labels,
                "texts": self.texts,
                "max_bytes": self.classifier.limits.max_bytes,
                **self.described(self.classifier),
            }
        )

    async def _docs(self, _: Request) -> Response:
        return JSONResponse(self.specification())

    async def _metrics(self, _: Request) -> Response:
        content, media_type = exposition()
        return Response(content, media_type=media_type)

    async def _predict(self, request: Request) -> Response:
        started = time.perf_counter()
        try:
            response: Response = await self._answer(request, started)
        except Refused as refused:
            response = _refusal(refused)
            if self.metrics:
                self.metrics.rejections.labels(refused.code).inc()
        except Exception as error:
            response = await _unexpected(request, error)
        if self.metrics:
            self.metrics.requests.labels(response.status_code).inc()
            self.metrics.seconds.observe(time.perf_counter() - started)
        return response

    async def _answer(self, request: Request, started: float) -> Response:
        classifier = self.classifier
        if classifier is None or not classifier.ready:
            raise Refused(503, "not_ready", "the model is still being loaded", RETRY_SECONDS)
        if self.under_way >= classifier.limits.max_requests:
            raise Refused(
                503,
                "overloaded",
                f"{self.under_way} requests are under way: try again in {RETRY_SECONDS} s",
                RETRY_SECONDS,
            )
        self.under_way += 1
        try:
            answers = await self.answers(request, classifier)
        finally:
            self.under_way -= 1
        if self.metrics:
            for answer in answers:
                self.metrics.predictions.labels(answer["label"]).inc()
        return JSONResponse(
            {
                "model": classifier.facts.public(),
                "predictions": answers,
                "milliseconds": round((time.perf_counter() - started) * 1000, 1),
            }
        )


def _refusal(refused: Refused) -> JSONResponse:
    headers: dict[str, str] = {}
    if refused.retry_after is not None:
        headers["Retry-After"] = str(refused.retry_after)
    body = {"error": refused.code, "message": refused.message}
    return JSONResponse(body, refused.status, headers)


async def _http_error(request: Request, error: Any) -> Response:
    body = {
        "error": "http_error",
        "message": f"{request.method} {request.url.path}: {error.detail}",
    }
    return JSONResponse(body, error.status_code, error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    """The answer to a defect of ours; the log has the traceback, the client does not."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return JSONResponse(
        {"error": "internal", "message": "the service failed; its log says why"}, 500
    )
