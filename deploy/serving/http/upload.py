"""Read the body of a request within the limits, whatever its headers declare.

Nothing is decoded here, and no address is fetched: text in place of a file is refused.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartParser
from starlette.requests import ClientDisconnect, Request

from .limits import Limits
from .refusals import Refused

CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii")
"""Charsets that a form may declare; all are read as UTF-8."""
MOST_TEXTS = 16
"""Most text fields in a form. None is needed, but some clients send them."""
TEXT_BYTES = 4096
"""Most bytes in a text field."""
FREE_SECONDS = 5
"""Seconds that a body may take beside those that its bytes earn, by `min_bytes_per_second`."""
Read = TypeVar("Read")


def content_type(request: Request) -> str:
    """The declared media type of the body, without parameters."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


async def read_body(request: Request, limits: Limits) -> bytes:
    """The whole body, within the limits. Raises `Refused`."""
    _check_declared(request, limits)
    return await _in_time(request, limits, _joined)


async def read_files(
    request: Request, limits: Limits, field: str, most: int, too_many: Refused
) -> list[bytes]:
    """The contents of the files in `field` of a multipart form, one or more.

    Raises `Refused`; of more than `most` files, `too_many`.
    """
    _check_declared(request, limits)
    _check_charset(request)

    async def read(chunks: AsyncIterator[bytes]) -> list[bytes]:
        return await _multipart(request, chunks, limits, field, most, too_many)

    return await _in_time(request, limits, read)


def parsed(body: bytes, most: int) -> Any:
    """The JSON document in `body`. Raises `Refused`; for more than `most` values, before parsing.

    Each value but the first follows a comma or an opening bracket, so their count bounds the cost
    of parsing: an empty list takes two bytes of JSON, and 64 bytes as a Python object.
    """
    if sum(map(body.count, (b",", b"[", b"{"))) > most:
        raise Refused(
            413, "too_many_values", f"the JSON has more than {most} values: send several requests"
        )
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "bad_json", "the body is not JSON") from None


async def _in_time(
    request: Request, limits: Limits, read: Callable[[AsyncIterator[bytes]], Awaitable[Read]]
) -> Read:
    """What `read` makes of the chunks of the body. Raises `Refused` for a body that is too slow."""
    try:
        async with asyncio.timeout(min(FREE_SECONDS, limits.read_seconds)) as deadline:
            return await read(_capped(request, limits, deadline))
    except TimeoutError:
        raise Refused(
            408,
            "too_slow",
            f"the body did not arrive within {limits.read_seconds} s, or brought less than "
            f"{limits.min_bytes_per_second} bytes a second: send it again",
        ) from None
    except ClientDisconnect:
        raise Refused(400, "incomplete", "the connection ended before the body did") from None


def _check_charset(request: Request) -> None:
    """Refuse other charsets than UTF-8: Starlette would use any codec that the client names.

    Some codecs, such as punycode, take quadratic time.
    """
    _, options = parse_options_header(request.headers["content-type"])
    charset = options.get(b"charset", b"utf-8").decode("latin-1")
    if charset.lower() not in CHARSETS:
        raise Refused(
            415,
            "unsupported_charset",
            f"charset {charset[:40]!r} is not taken: send the form in UTF-8",
        )


def _check_declared(request: Request, limits: Limits) -> None:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > limits.max_bytes:
        raise _too_large(limits)


def _too_large(limits: Limits) -> Refused:
    return Refused(
        413,
        "too_large",
        f"the body is larger than {limits.max_bytes} bytes: send less at a time",
    )


async def _capped(
    request: Request, limits: Limits, deadline: asyncio.Timeout
) -> AsyncIterator[bytes]:
    """The body in chunks, never more than allowed, whatever its headers declare.

    Each chunk moves the deadline by the time that its bytes may take.
    """
    started = asyncio.get_running_loop().time()
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limits.max_bytes:
            raise _too_large(limits)
        allowed = FREE_SECONDS + size / limits.min_bytes_per_second
        deadline.reschedule(started + min(allowed, limits.read_seconds))
        yield chunk


async def _joined(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def _multipart(
    request: Request,
    chunks: AsyncIterator[bytes],
    limits: Limits,
    field: str,
    most: int,
    too_many: Refused,
) -> list[bytes]:
    parser = MultiPartParser(
        request.headers,
        chunks,  # type: ignore[arg-type]
        max_files=most,
        max_fields=MOST_TEXTS,
        max_part_size=TEXT_BYTES,
    )
    parser.spool_max_size = limits.max_bytes + 1  # in memory: patients' images touch no disk
    try:
        form = await parser.parse()
    except (Refused, ClientDisconnect):
        raise
    except Exception as error:  # the parser of hostile bytes raises more than it documents
        reason = getattr(error, "message", "") or str(error) or type(error).__name__
        if reason.startswith("Too many files"):
            raise too_many from None
        raise Refused(
            400, "bad_multipart", f"the multipart body cannot be read: {reason[:200]}"
        ) from None
    given = form.getlist(field)
    names = ", ".join(sorted({repr(name[:40]) for name in form}))
    if not given:
        raise Refused(
            400,
            f"no_{field}",
            f"there is no field '{field}' in the form, only: {names or 'nothing'}",
        )
    contents = []
    for value in given:
        if not isinstance(value, UploadFile):
            raise Refused(
                400,
                "text_not_file",
                f"the field '{field}' holds text: send the file itself; addresses are not fetched",
            )
        contents.append(await value.read())
        await value.close()
    return contents
