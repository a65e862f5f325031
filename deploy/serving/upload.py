"""From a request to the bytes of its images, without believing anything that it says.

Nothing is decoded here, and nothing is ever fetched: text in place of a file is refused.
"""

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartParser
from starlette.requests import ClientDisconnect, Request

from .limits import Limits
from .refusals import Refused

FIELD = "image"
"""Name of the multipart field and of the JSON key."""
RAW = "application/octet-stream"


async def read_images(request: Request, limits: Limits) -> list[bytes]:
    """The contents of the images of `request`, one or more.

    Takes multipart/form-data with the field `image`, given once or several times; a raw body of
    type image/*; or JSON `{"image": "<base64>"}`, where a list stands for several. Raises
    `Refused` before the body is read when its declared size is over `limits.max_bytes`, and while
    it is read when it grows over it.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in ("multipart/form-data", "application/json", RAW) and kind[:6] != "image/":
        raise Refused(
            415,
            "unsupported_media_type",
            f"Content-Type {kind[:80]!r} is not taken: send multipart/form-data with the field "
            f"'{FIELD}', an image/* body, or application/json with {{'{FIELD}': '<base64>'}}",
        )
    _check_declared(request, limits)
    try:
        async with asyncio.timeout(limits.read_seconds):
            if kind == "multipart/form-data":
                images = await _multipart(request, limits)
            else:
                body = b"".join([chunk async for chunk in _capped(request, limits)])
                images = _json(body) if kind == "application/json" else [body]
    except TimeoutError:
        raise Refused(
            408,
            "too_slow",
            f"the body did not arrive within {limits.read_seconds} s: send it again",
        ) from None
    except ClientDisconnect:
        raise Refused(400, "incomplete", "the connection ended before the body did") from None
    if len(images) > limits.max_images:
        raise Refused(
            413,
            "too_many_images",
            f"{len(images)} images are more than {limits.max_images}: send several requests",
        )
    return images


def _check_declared(request: Request, limits: Limits) -> None:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > limits.max_bytes:
        raise _too_large(limits)


def _too_large(limits: Limits) -> Refused:
    return Refused(
        413,
        "too_large",
        f"the body is larger than {limits.max_bytes} bytes: send a smaller image",
    )


async def _capped(request: Request, limits: Limits) -> AsyncIterator[bytes]:
    """The body in chunks, never more than allowed, whatever its headers declare."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limits.max_bytes:
            raise _too_large(limits)
        yield chunk


async def _multipart(request: Request, limits: Limits) -> list[bytes]:
    parser = MultiPartParser(
        request.headers,
        _capped(request, limits),  # type: ignore[arg-type]
        max_part_size=limits.max_bytes,
    )
    parser.spool_max_size = limits.max_bytes + 1  # in memory: patients' images touch no disk
    try:
        form = await parser.parse()
    except (Refused, ClientDisconnect):
        raise
    except Exception as error:  # the parser of hostile bytes raises more than it documents
        reason = getattr(error, "message", "") or str(error) or type(error).__name__
        raise Refused(
            400, "bad_multipart", f"the multipart body cannot be read: {reason[:200]}"
        ) from None
    given = form.getlist(FIELD)
    names = ", ".join(sorted({repr(name[:40]) for name in form}))
    if not given:
        raise Refused(
            400, "no_image", f"there is no field '{FIELD}' in the form, only: {names or 'nothing'}"
        )
    images = []
    for value in given:
        if not isinstance(value, UploadFile):
            raise Refused(
                400,
                "text_not_file",
                f"the field '{FIELD}' holds text: send the file itself; addresses are not fetched",
            )
        images.append(await value.read())
        await value.close()
    return images


def _json(body: bytes) -> list[bytes]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "bad_json", "the body is not JSON") from None
    given = document.get(FIELD) if isinstance(document, dict) else None
    texts = given if isinstance(given, list) else [given]
    images = [_base64(text) for text in texts if isinstance(text, str)]
    if not images or len(images) < len(texts):
        raise Refused(
            400,
            "no_image",
            f"the JSON must be an object with '{FIELD}': the image as base64, or a list of these",
        )
    return images


def _base64(text: str) -> bytes:
    """Bytes of base64, also where a browser put `data:image/png;base64,` before it."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Refused(
            400,
            "bad_base64",
            f"'{FIELD}' is not base64: send the content of the file; addresses are not fetched",
        ) from None
