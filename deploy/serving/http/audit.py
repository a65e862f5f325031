"""One line of JSON for each request: who asked what, when, and what came of it.

It holds no image, no name of a file and no address of a client, and of the path only the route. The
request id is also in the answer, as `X-Request-ID`, so that a question about an answer leads to its
line. Lines go to the logger `sonda.audit`, on stdout.
"""

import json
import logging
import re
import sys
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("sonda.audit")

HEADER = "X-Request-ID"
GIVEN = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""A request id that is taken from the client; for any other there is a new one."""
PROBES = ("/livez", "/readyz", "/healthz")
"""They are asked every few seconds and get no line."""
ROUTES = ("/predict", "/model", "/card", "/docs.json", "/metrics", "/sample-input")
FOLDERS = ("static", "shared")
_KEPT = "sonda.asked"


@dataclass
class Asked:
    """What is known of a request beside its HTTP."""

    id: str
    key: str | None = None
    """Name of its key."""
    samples: int | None = None
    """Images or rows that it sent; None until they are counted."""


def asked(scope: Scope) -> Asked:
    """What is known of the request of `scope`; it may be added to."""
    known: Asked = scope.setdefault(_KEPT, Asked(uuid.uuid4().hex))
    return known


class Audit:
    """ASGI middleware: a request id for each request, and a line when it ends."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        if not log.handlers:
            handler = logging.StreamHandler(sys.stdout)
            handler.setFormatter(logging.Formatter("%(message)s"))
            log.addHandler(handler)
            log.setLevel(logging.INFO)
            log.propagate = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call `app`, and note what it did."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        known = scope[_KEPT] = Asked(given if GIVEN.fullmatch(given) else uuid.uuid4().hex)
        began, started = datetime.now(UTC), time.perf_counter()
        size, status = 0, None

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            return message

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = known.id
            await send(message)

        try:
            await self.app(scope, counted, noted)
        finally:
            if scope["path"] not in PROBES:
                line: dict[str, Any] = {
                    "time": began.isoformat(timespec="milliseconds"),
                    "request": known.id,
                    "key": known.key,
                    "method": scope["method"],
                    "route": route(scope["path"]),
                    "status": status,  # null if the client was gone before the answer
                    "milliseconds": round((time.perf_counter() - started) * 1000, 1),
                    "bytes": size,
                    "samples": known.samples,
                }
                log.info(json.dumps(line))


def route(path: str) -> str:
    """The route of a path, "" for one that there is not: any text may stand in a path."""
    first = path.split("/")[1] if path.startswith("/") else ""
    if first in FOLDERS:
        return f"/{first}"
    return path if path in ("/", *ROUTES) else ""
