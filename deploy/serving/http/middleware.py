"""Every error is JSON of one shape, and every answer has the security headers.

Starlette and BentoML answer an unknown path, a wrong method or a service that is not ready in
plain text or in a shape of their own. `OneShape` wraps the routes of both.
"""

import json
import logging
from http import HTTPStatus
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .audit import asked

log = logging.getLogger(__name__)

HEADERS = {
    # The page loads nothing from other origins.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' blob: data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
SHOWN = 200
"""Most characters of a path or reason in a message; both may come from the client."""


class OneShape:
    """ASGI middleware: `HEADERS` on every answer; every error `{"error": ..., "message": ...}`.

    An error that has this shape already is not changed. Other errors keep their status, `Allow` and
    `Retry-After`; `error` becomes the status in words, and the message names the request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call `app`, and give its answer the one shape."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        error: Message = {}  # the start of an error, kept until its body is known
        body = bytearray()
        started = False

        async def shaped(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
                if message["status"] >= HTTPStatus.BAD_REQUEST:
                    error.update(message)
                    return
                started = True
            elif error and not started:
                body.extend(message.get("body", b""))
                if message.get("more_body", False):
                    return
                started = True
                await _send_error(scope, error, bytes(body), send)
                return
            await send(message)

        try:
            await self.app(scope, receive, shaped)
        except Exception as fault:
            if started:
                raise
            error.clear()
            body.clear()
            await failure(scope, fault)(scope, receive, shaped)


def failure(scope: Scope, error: Exception) -> JSONResponse:
    """The answer to an exception in the service; the traceback goes to the log only."""
    log.error("%s failed, request %s", _asked(scope), asked(scope).id, exc_info=error)
    known = {"error": _word(HTTPStatus.INTERNAL_SERVER_ERROR)}
    return JSONResponse(known | {"message": "the service failed; its log says why"}, 500)


async def _send_error(scope: Scope, start: Message, body: bytes, send: Send) -> None:
    if not _in_shape(body):
        status = HTTPStatus(start["status"])
        reason = " ".join(body.decode("utf-8", "replace").split())[:SHOWN] or status.phrase
        known = {"error": _word(status)}
        body = json.dumps(known | {"message": f"{_asked(scope)}: {reason}"}).encode()
        headers = MutableHeaders(scope=start)
        headers["Content-Type"] = "application/json"
        headers["Content-Length"] = str(len(body))
    await send(start)
    await send({"type": "http.response.body", "body": body})


def _word(status: HTTPStatus) -> str:
    return status.phrase.lower().replace(" ", "_")


def _in_shape(body: bytes) -> bool:
    try:
        known: Any = json.loads(body)
    except ValueError:
        return False
    return isinstance(known, dict) and {"error", "message"} <= known.keys()


def _asked(scope: Scope) -> str:
    return f"{scope['method']} {scope['path'][:SHOWN]}"
