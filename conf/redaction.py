r"""Remove credentials from everything that a run prints, logs or writes.

`redact` hides credentials that the form of a text shows (user and password of a URL, the values of
its query, `password=...`) and known secrets. `remember` finds secrets in the environment and on the
command line; they are hidden also without their URL, or percent-encoded.

```mermaid
flowchart LR
    E[environment, command line] --> R[remember] --> K[known secrets]
    K --> F[redact]
    L[log records] --> F
    S[stdout, stderr] --> F
    Y[Hydra's files] --> F
    A[texts for MLflow] --> F
```

Only written text is redacted; running code uses the real values.
"""

import functools
import html
import io
import json
import logging
import os
import re
import sys
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

HIDDEN = "***"
SHORTEST = 6
"""Shortest secret that is searched for in all text; shorter ones are parts of other words."""
VARIABLES = re.compile(r"(PASSWORD|PASSWD|TOKEN|SECRET|KEY|KEY_ID)$", re.IGNORECASE)
"""Environment variables whose values are secret."""
HARMLESS = {
    *("confirm", "export", "id", "sslmode", "timeout", "version", "versionid"),
    *("x-amz-algorithm", "x-amz-date", "x-amz-expires", "x-amz-signedheaders"),
}
"""Names in the query of a URL whose values are not secret."""

_END = re.compile(r"[\s\"'<>]|$")
"""The end of a URL in a text."""
_PAIR = re.compile(r"([^=&;?#]+)=([^&;#]*)")
_ASSIGNED = re.compile(
    r"(?i)\b(password|passwd|pwd|secret|token|api_?key|access_?key|signature|sig)"
    r"=([^\s&;,\"'<>]+)"
)

_known: set[str] = set()


def redact(text: str) -> str:
    """`text` with `***` in place of every credential; the cost is linear in its length."""
    first, *rest = text.split("://")
    shown = [first]
    for part in rest:
        user, place, query, after = _split(part)
        hidden = f"{HIDDEN}@" if user else ""
        shown.append(hidden + place + _PAIR.sub(_hide, query) + after)
    text = _ASSIGNED.sub(_hide, "://".join(shown))
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def remember(texts: Iterable[str], variables: Iterable[tuple[str, str]] = ()) -> None:
    """From now on, hide the secrets in `texts` and the values of secret `variables`."""
    found = {value for name, value in variables if VARIABLES.search(name)}
    for text in texts:
        for rest in text.split("://")[1:]:
            user, _, query, _ = _split(rest)
            name, colon, password = user.partition(":")
            found.add(password if colon else name)
            pairs = _PAIR.findall(query)
            found |= {value for name, value in pairs if name.lower() not in HARMLESS}
        found |= {value for _, value in _ASSIGNED.findall(text)}
    for secret in found:
        forms = {secret, unquote(secret), unquote_plus(secret)}
        for encode in (quote, quote_plus, functools.partial(quote, safe=""), html.escape, _json):
            forms |= {encode(form) for form in forms}
        _known.update(form for form in forms if len(form) >= SHORTEST)


def _split(rest: str) -> tuple[str, str, str, str]:
    """Parts of the text after `://`: user and password, host and path, query, rest."""
    end = _END.search(rest)
    assert end is not None
    url, after = rest[: end.start()], rest[end.start() :]
    authority = re.split("[/?#]", url, maxsplit=1)[0]
    port = authority.rpartition(":")[2]
    if "@" in authority:
        cut = authority.rindex("@")
        user, url = url[:cut], url[cut + 1 :]
    elif ":" in authority and not port.isdecimal() and "@" in url:
        user, _, url = url.rpartition("@")  # a password with a slash in it
    else:
        user = ""
    place, mark, query = url.partition("?")
    return user, place, mark + query, after


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def guard(words: Iterable[str] = ()) -> None:
    """From now on, redact log records, stdout and stderr of this process.

    The secrets are those in the environment, on the command line and in `words` at the time of the
    call. A process that a launcher of Hydra started has another command line.
    """
    remember([*sys.argv[1:], *words, *os.environ.values()], os.environ.items())
    logging.setLogRecordFactory(_Record)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and not isinstance(stream, _Stream):
            setattr(sys, name, _Stream.over(stream))


def _hide(pair: re.Match[str]) -> str:
    return pair[0] if pair[1].lower() in HARMLESS else f"{pair[1]}={HIDDEN}"


class _Record(logging.LogRecord):
    """A log record with redacted message and traceback, for every handler."""

    def getMessage(self) -> str:  # noqa: N802 -- the name in logging
        """The message without credentials."""
        return redact(super().getMessage())

    def __setattr__(self, name: str, value: Any) -> None:
        # Formatters store the text of a traceback here, and write it from here.
        if name in ("exc_text", "stack_info") and value:
            value = redact(value)
        super().__setattr__(name, value)


class _Stream(io.TextIOWrapper):
    """A stream that redacts text for the terminal: prints, warnings, tracebacks."""

    @classmethod
    def over(cls, stream: io.TextIOWrapper) -> "_Stream":
        """A stream that writes to the buffer of `stream`; `stream` stays open."""
        stream.flush()
        return cls(
            stream.buffer,
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )

    def write(self, text: str) -> int:
        """Write `text` without credentials."""
        return super().write(redact(text))
