"""The page asks for the key when the service does, and keeps it for its tab only."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.deploy.browsing import ANSWER_MS, opening
from tests.deploy.common import MODEL, encoded, frame
from tests.reliability.common import LAB, Running

pytestmark = pytest.mark.slow


@pytest.fixture
def open_page(browser: Browser, keyed: Running) -> Any:
    def wait(page: Page) -> None:
        expect(page.locator("#key")).to_be_visible(timeout=ANSWER_MS)

    with opening(browser, keyed.address, wait) as open_it:
        yield open_it


def give(page: Page, key: str) -> None:
    page.locator("#key").fill(key)
    page.locator("#key").press("Enter")


@pytest.mark.parametrize(
    ("locale", "told"), [("en-GB", "not know this key"), ("es-MX", "no conoce")]
)
def test_a_wrong_key_is_told_and_the_right_one_gets_answers(
    open_page: Any, locale: str, told: str
) -> None:
    page = open_page(locale)
    give(page, "wrong")
    expect(page.locator("#key-form")).to_contain_text(told)
    give(page, LAB)
    expect(page.locator("#model")).to_contain_text(MODEL, timeout=ANSWER_MS)
    expect(page.locator("#key-form")).to_have_count(0)
    image = {"name": "a.png", "mimeType": "image/png", "buffer": encoded(frame(2, 4))}
    page.locator("#file").set_input_files(image)
    expect(page.locator("#label")).to_be_visible(timeout=ANSWER_MS)


def test_the_key_is_kept_for_the_tab_and_nowhere_else(open_page: Any) -> None:
    page = open_page()
    give(page, LAB)
    expect(page.locator("#model")).to_contain_text(MODEL, timeout=ANSWER_MS)
    page.reload()
    expect(page.locator("#model")).to_contain_text(MODEL, timeout=ANSWER_MS)
    assert page.evaluate("Object.values(sessionStorage)") == [LAB]
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    assert LAB not in page.content()
    assert LAB not in page.url
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator("#key")).to_be_visible(timeout=ANSWER_MS)


def test_the_card_opens_with_the_key(open_page: Any) -> None:
    page = open_page()
    give(page, LAB)
    expect(page.locator("#card")).to_be_visible(timeout=ANSWER_MS)
    with page.expect_popup() as opened:
        page.locator("#card").click()
    expect(opened.value.locator("body")).to_contain_text("A card", timeout=ANSWER_MS)
    assert opened.value.evaluate("document.styleSheets.length") > 0
