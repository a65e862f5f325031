"""The routes of an image service: the page, `/predict`, `/model` and `/docs.json`.

They are an ASGI application of their own that BentoML mounts at `/`. BentoML's declared image
fields would fetch an address that a client sends in place of a file, answer 500 to a corrupt
image, and read bodies of any size.

```mermaid
flowchart LR
    request --> admit["admit: 503 when full"] --> read["upload: 400 408 413 415"]
    read --> decode["images: 413 415 422"] --> engine --> answer["JSON"]
    engine -- "explain=true" --> gradcam --> answer
```
"""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from .classifier import Classifier
from .limits import cores
from .metrics import Metrics
from .openapi import specification
from .refusals import Refused
from .upload import read_images

log = logging.getLogger(__name__)

PAGE = Path(__file__).parent / "page"
RETRY_SECONDS = 2
"""What a client is told to wait when the service is full: a few images' time."""
HEADERS = {
    # The page needs nothing from elsewhere, and nothing may get in.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' blob: data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
FLAGS = {"true": True, "1": True, "false": False, "0": False}

Labels = Mapping[str, Mapping[str, str]]


class ImageService:
    """State of the routes: the model, and how many requests are under way.

    `labels` are names for people, by language and class. `open` is called once the process that
    serves is running.
    """

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.classifier: Classifier | None = None
        self.metrics: Metrics | None = None
        self.under_way = 0
        self._threads: anyio.CapacityLimiter | None = None

    def open(self, classifier: Classifier) -> None:
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
                Mount("/static", StaticFiles(directory=PAGE)),
            ],
            exception_handlers={HTTPException: _http_error, Exception: _unexpected},
        )

    async def _page(self, _: Request) -> Response:
        return FileResponse(PAGE / "index.html", headers=HEADERS)

    async def _model(self, _: Request) -> Response:
        """What the page shows about the model."""
        if self.classifier is None:
            return _refusal(Refused(503, "not_ready", "the service is starting", RETRY_SECONDS))
        limits, facts = self.classifier.limits, self.classifier.facts
        return JSONResponse(
            {
                **facts.public(),
                "classes": facts.classes,
                "labels": self.labels,
                "max_bytes": limits.max_bytes,
            }
        )

    async def _docs(self, _: Request) -> Response:
        return JSONResponse(specification(self.classifier))

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
        self._threads = self._threads or anyio.CapacityLimiter(cores())
        self.under_way += 1
        try:
            explain = _flag(request, "explain")
            images = await read_images(request, classifier.limits)
            answers = await anyio.to_thread.run_sync(
                classifier.classify, images, explain, limiter=self._threads
            )
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


def _flag(request: Request, name: str) -> bool:
    text = request.query_params.get(name, "false").lower()
    if text not in FLAGS:
        raise Refused(400, "bad_parameter", f"{name}={text[:20]!r}: expected true or false")
    return FLAGS[text]


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
