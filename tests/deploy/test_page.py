"""The page in a browser: images are answered, in two languages, and nothing leaves the host."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from deploy.serving.http.openapi import HOW
from tests.datasets.test_dicom import dicom
from tests.deploy.browsing import ANSWER_MS, PHONE, opening
from tests.deploy.common import MODEL, dicom_bytes, encoded, frame

pytestmark = pytest.mark.slow


@pytest.fixture
def open_page(browser: Browser, service: str) -> Iterator[Any]:
    def wait(page: Page) -> None:
        expect(page.locator("#model")).to_contain_text(MODEL, timeout=ANSWER_MS)

    with opening(browser, service, wait) as open_it:
        yield open_it


def choose(page: Page, content: bytes, name: str = "frame.png", kind: str = "image/png") -> None:
    page.locator("#file").set_input_files({"name": name, "mimeType": kind, "buffer": content})


def answered(page: Page) -> None:
    expect(page.locator("#label")).to_be_visible(timeout=ANSWER_MS)
    expect(page.locator("#result")).to_have_attribute("aria-busy", "false")


def test_a_chosen_image_gets_bars_heatmap_latency_and_model(open_page: Any, tmp_path: Path) -> None:
    page = open_page()
    choose(page, encoded(frame(2, 4)))
    answered(page)
    assert page.locator("#bars li").count() == 4
    shares = [
        float(text.rstrip("%")) for text in page.locator(".name span:last-child").all_inner_texts()
    ]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.3)
    assert (
        page.locator("#label").inner_text() == page.locator(".best .name span").first.inner_text()
    )
    assert "ms" in page.locator("#latency").inner_text()
    assert "version 1" in page.locator("#model").inner_text()
    overlay, preview = page.locator("#overlay"), page.locator("#preview")
    expect(overlay).to_be_visible()
    assert overlay.evaluate("e => e.naturalWidth") > 0
    assert overlay.bounding_box() == preview.bounding_box()
    page.locator("#opacity").fill("25")
    assert overlay.evaluate("e => getComputedStyle(e).opacity") == "0.25"
    assert page.locator("#opacity-value").inner_text() == "25 %"
    page.screenshot(path=tmp_path / "answer.png", full_page=True)


@pytest.mark.parametrize("locale", ["en-GB", "es-MX"])
def test_the_page_says_how_its_model_was_promoted(open_page: Any, locale: str) -> None:
    page = open_page(locale)
    expect(page.locator("#promotion")).to_contain_text(
        "Not promoted" if locale == "en-GB" else "No promovido"
    )
    expect(page.locator("#card")).to_be_visible()
    assert page.request.get(page.url + page.locator("#card").get_attribute("href")).ok
    evidence: dict[str, Any] = {"accuracy": 0.9, "difference": 0.012, "low": -0.003, "high": 0.027}
    evidence |= {"samples": 800, "compared_with": "3"}
    said = set()
    for how in HOW:
        promotion = {"how": how, "because": "a reason", "evidence": evidence}
        page.evaluate("given => showPromotion(given)", promotion)
        said.add(page.locator("#promotion").inner_text())
        assert "undefined" not in page.locator("#promotion").inner_text()
    assert len(said - {""}) == len(HOW)
    assert any("+1" in text and "800" in text for text in said)
    assert sum("a reason" in text for text in said) == 3


@pytest.mark.parametrize(
    ("locale", "notice", "label", "title"),
    [
        ("en-GB", "For research, not for diagnosis.", "Polyps", "Answer"),
        ("es-MX", "Para investigación, no para diagnóstico.", "Pólipos", "Respuesta"),
        ("fr-FR", "For research, not for diagnosis.", "Polyps", "Answer"),
    ],
)
def test_the_page_speaks_the_browsers_language(
    open_page: Any, locale: str, notice: str, label: str, title: str
) -> None:
    page = open_page(locale)
    assert page.locator("html").get_attribute("lang") == ("es" if locale == "es-MX" else "en")
    expect(page.locator(".notice")).to_contain_text(notice)
    assert page.locator("#result-title").inner_text() == title
    choose(page, encoded(frame(2, 4)))
    answered(page)
    expect(page.locator("#bars")).to_contain_text(label)


def test_both_languages_say_the_same_things(open_page: Any) -> None:
    page = open_page()
    keys = page.evaluate("Object.values(TEXTS).map((texts) => Object.keys(texts).sort().join())")
    assert len(keys) == 2
    assert len(set(keys)) == 1


@pytest.mark.parametrize(
    ("locale", "content", "text"),
    [
        ("en-GB", b"no image at all", "not an image that can be read"),
        ("es-ES", encoded(frame(0, 1), "JPEG")[:3000], "La imagen está dañada"),
        ("en-GB", b"", "The file is empty"),
        ("en-GB", b"\0" * 2**21, "too large: at most 1 MB"),
    ],
)
def test_an_error_is_shown_and_the_next_image_clears_it(
    open_page: Any, locale: str, content: bytes, text: str
) -> None:
    page = open_page(locale)
    choose(page, content)
    error = page.locator("#error")
    expect(error).to_contain_text(text, timeout=ANSWER_MS)
    assert error.get_attribute("role") == "alert"
    expect(page.locator("#label")).to_be_hidden()
    choose(page, encoded(frame(1, 4)))
    answered(page)
    expect(error).to_be_hidden()


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_an_image_can_be_dropped_or_pasted(open_page: Any, event: str) -> None:
    page = open_page()
    page.evaluate(
        """([event, bytes]) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "a.png", {type: "image/png"}));
            const made = event === "drop"
                ? new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true})
                : new ClipboardEvent("paste", {clipboardData: data, bubbles: true});
            document.body.dispatchEvent(made);
        }""",
        [event, list(encoded(frame(3, 4).resize((64, 64))))],
    )
    answered(page)


def test_a_format_that_the_browser_cannot_show_is_answered(open_page: Any) -> None:
    page = open_page()
    choose(page, encoded(frame(3, 4), "TIFF"), "frame.tif", "image/tiff")
    answered(page)
    expect(page.locator("#caption")).to_contain_text("this is the image as the model saw it")
    for name in ("#preview", "#overlay"):
        expect(page.locator(name)).to_be_visible()
        page.wait_for_function("id => document.querySelector(id).naturalWidth > 0", arg=name)
    expect(page.locator("#frame-row")).to_be_hidden()


def test_each_frame_of_a_dicom_file_is_shown_with_its_answer(
    open_page: Any, tmp_path: Path
) -> None:
    grey = np.stack(
        [np.asarray(frame(label, 4).convert("L").resize((200, 150))) for label in range(2)]
    )
    page = open_page()
    choose(page, dicom_bytes(dicom(grey)), "IM0001", "application/dicom")
    answered(page)
    expect(page.locator("#preview")).to_be_visible()
    expect(page.locator("#frame-value")).to_have_text("1 / 2")
    shown = page.locator("#preview").get_attribute("src")
    shares = page.locator("#bars").inner_text()
    page.locator("#frame").fill("2")
    expect(page.locator("#frame-value")).to_have_text("2 / 2")
    assert page.locator("#preview").get_attribute("src") != shown
    assert page.locator("#bars").inner_text() != shares
    page.screenshot(path=tmp_path / "dicom.png", full_page=True)
    choose(page, encoded(frame(1, 4)))
    expect(page.locator("#caption")).to_have_text("frame.png", timeout=ANSWER_MS)
    answered(page)
    expect(page.locator("#frame-row")).to_be_hidden()


def test_the_keyboard_reaches_everything_and_parts_have_names(open_page: Any) -> None:
    page = open_page()
    choose(page, encoded(frame(2, 4)))
    answered(page)
    page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(4):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert reached == ["file", "opacity", "card", "A"]
    assert page.get_by_role("slider", name="Opacity of the heatmap").count() == 1
    assert page.get_by_role("region", name="Answer").count() == 1
    assert page.get_by_label("Choose an image").count() == 1
    assert page.locator("img:not([alt])").count() == 0


@pytest.mark.parametrize("locale", ["en-GB", "es-ES"])
def test_a_phone_shows_all_without_scrolling_aside(
    open_page: Any, locale: str, tmp_path: Path
) -> None:
    page = open_page(locale, viewport=PHONE, has_touch=True, is_mobile=True)
    choose(page, encoded(frame(2, 4)))
    answered(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.screenshot(path=tmp_path / "phone.png", full_page=True)


def test_the_page_asks_again_until_the_service_runs(browser: Browser, service: str) -> None:
    page = browser.new_page()
    page.route("**/model", lambda route: route.abort(), times=2)
    page.goto(service)
    expect(page.locator("#model")).to_contain_text(MODEL, timeout=ANSWER_MS)
    page.close()
