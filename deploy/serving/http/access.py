"""Which requests are let in: closed routes, keys, and the rate of each key.

The page, its files and the probes need no key: the page asks for it. Everything else does, also
what BentoML adds, so that no route of a later version is open by mistake.
"""

import os
from dataclasses import dataclass, field
from math import ceil

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .audit import asked
from .keys import FILE, KEYS, Keys, Rate

CLOSED = "SONDA_CLOSED"
"""Environment variable: the words of `CLOSABLE` whose routes answer 404."""
CLOSABLE = {
    "metrics": ("/metrics", "/drift"),
    "docs": ("/docs.json", "/sample-input"),
    "bentoml": ("/schema.json", "/assets", "/static_content", "/healthz"),
}
OPEN = ("/static", "/shared", "/livez", "/readyz", "/healthz")
"""Routes that need no key, beside the page itself."""
LIMITED = "/predict"
"""The route that takes from a key's rate."""
EVERYBODY = ""
"""The name under which requests are counted where there are no keys."""


@dataclass(frozen=True)
class Rules:
    """What the environment says about access."""

    keys: Keys = field(default_factory=Keys)
    rate: Rate = field(default_factory=lambda: Rate(0))
    closed: tuple[str, ...] = ()
    """Paths that answer 404, and all below them."""

    @classmethod
    def from_environment(cls) -> "Rules":
        """The rules of `SONDA_API_KEYS`, `SONDA_REQUESTS_PER_MINUTE` and `SONDA_CLOSED`.

        Raises `ValueError`, which names the variable.
        """
        words = os.environ.get(CLOSED, "").replace(",", " ").split()
        if unknown := [word for word in words if word not in CLOSABLE]:
            raise ValueError(f"{CLOSED}: {unknown[0]!r} is none of {', '.join(CLOSABLE)}")
        closed = tuple(path for word in words for path in CLOSABLE[word])
        return cls(Keys.from_environment(), Rate.from_environment(), closed)

    def told(self) -> str:
        """What the log says at the start."""
        if not self.keys:
            return f"no keys: whoever reaches this service may ask it ({KEYS} or {FILE} is unset)"
        return f"only with a key of {', '.join(self.keys.names)}"

    def closes(self, path: str) -> bool:
        """Whether the route of `path` is closed."""
        return _below(path, self.closed)


class Access:
    """ASGI middleware: lets requests through by `rules`, and answers 401, 404 or 429 to others."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self.app = app
        self.rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app, or refuse before anything of the body is read."""
        refusal = self._refusal(Request(scope)) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        path, owner = request.scope["path"], None
        if self.rules.closes(path):
            return PlainTextResponse("Not Found", 404)
        if self.rules.keys:
            owner = self.rules.keys.owner(_key(request))
            asked(request.scope).key = owner
            if owner is None and path != "/" and not _below(path, OPEN):
                return _refused(
                    401,
                    "unauthorized",
                    "this service needs a key: send it as 'Authorization: Bearer <key>'",
                    {"WWW-Authenticate": "Bearer"},
                )
        if path == LIMITED and (seconds := ceil(self.rules.rate.wait(owner or EVERYBODY))):
            return _refused(
                429,
                "too_many_requests",
                f"more than {self.rules.rate.per_minute} requests a minute: wait {seconds} s",
                {"Retry-After": str(seconds)},
            )
        return None


def _key(request: Request) -> str:
    """The key that a request carries, or ""."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")


def _below(path: str, parents: tuple[str, ...]) -> bool:
    return any(path == parent or path.startswith(f"{parent}/") for parent in parents)


def _refused(status: int, code: str, message: str, headers: dict[str, str]) -> Response:
    return JSONResponse({"error": code, "message": message}, status, headers)
