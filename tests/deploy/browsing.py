"""The page of a service in a browser, as the tests of both kinds of page open it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page

ANSWER_MS = 20_000  # two busy cores; a quiet machine needs a tenth of a second
PHONE = {"width": 375, "height": 700}


@contextmanager
def opening(
    browser: Browser, service: str, wait: Callable[[Page], None]
) -> Iterator[Callable[..., Page]]:
    """Opens the page for a browser's language; ends without errors or requests to elsewhere.

    `wait` returns once the page is complete.
    """
    contexts, asked, errors = [], [], []

    def note(message: Any) -> None:
        if message.type == "error" and "the server responded with a status" not in message.text:
            errors.append(message.text)

    def open_it(locale: str = "en-GB", **options: Any) -> Page:
        context = browser.new_context(locale=locale, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", note)
        page.goto(service)
        wait(page)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith((service, "blob:", "data:"))] == []
    assert errors == []
