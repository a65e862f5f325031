"""Read the images of a request, still encoded: a form, a raw body, or JSON with base64.

Nothing is decoded here, and no address is fetched: text in place of a file is refused.
"""

import base64
import binascii

from starlette.requests import Request

from ..http.admission import InThread
from ..http.limits import Limits
from ..http.refusals import Refused
from ..http.upload import content_type, parsed, read_body, read_files

FIELD = "image"
"""Name of the multipart field and of the JSON key."""
RAW = ("application/octet-stream", "application/dicom")
BLANKS = b" \t\r\n"
"""Bytes that are allowed between the characters of base64."""
MOST_VALUES = 1_000
"""Most values in a JSON document; one with images has one for each image and few more."""


async def read_images(request: Request, limits: Limits, in_thread: InThread) -> list[bytes]:
    """The contents of the images of `request`, one or more.

    Takes multipart/form-data with the field `image`, given once or several times; a raw body of
    type image/* or application/dicom; or JSON `{"image": "<base64>"}`, where a list stands for
    several. Raises `Refused` before the body is read when its declared size is over
    `limits.max_bytes`, and while it is read when it grows over it or holds too many images.
    """
    kind = content_type(request)
    if kind == "multipart/form-data":
        return await read_files(request, limits, FIELD, limits.max_images, _too_many(limits))
    if kind == "application/json":
        return await in_thread(_json, await read_body(request, limits), limits)
    if kind in RAW or kind.startswith("image/"):
        return [await read_body(request, limits)]
    raise Refused(
        415,
        "unsupported_media_type",
        f"Content-Type {kind[:80]!r} is not taken: send multipart/form-data with the field "
        f"'{FIELD}', an image/* or application/dicom body, or application/json with "
        f"{{'{FIELD}': '<base64>'}}",
    )


def _json(body: bytes, limits: Limits) -> list[bytes]:
    document = parsed(body, MOST_VALUES)
    given = document.get(FIELD) if isinstance(document, dict) else None
    texts = given if isinstance(given, list) else [given]
    if len(texts) > limits.max_images:
        raise _too_many(limits)
    images = [_base64(text) for text in texts if isinstance(text, str)]
    if not images or len(images) < len(texts):
        raise Refused(
            400,
            "no_image",
            f"the JSON must be an object with '{FIELD}': the image as base64, or a list of these",
        )
    return images


def _too_many(limits: Limits) -> Refused:
    return Refused(
        413,
        "too_many_images",
        f"there are more than {limits.max_images} images: send several requests",
    )


def _base64(text: str) -> bytes:
    """Decode base64, with or without the prefix of a browser, `data:image/png;base64,`."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text.encode("ascii").translate(None, BLANKS), validate=True)
    except (binascii.Error, ValueError):
        raise Refused(
            400,
            "bad_base64",
            f"'{FIELD}' is not base64: send the content of the file; addresses are not fetched",
        ) from None
