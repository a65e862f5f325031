"""The page of a table service in a browser: a form made from the model's schema, and files."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.deploy.browsing import ANSWER_MS, PHONE, opening
from tests.deploy.tables import CSV, GOOD, HEADER, LINE, body, post, probabilities

pytestmark = pytest.mark.slow


@pytest.fixture
def open_page(browser: Browser, table_service: str) -> Iterator[Any]:
    def wait(page: Page) -> None:
        expect(page.locator(".field")).to_have_count(len(GOOD), timeout=ANSWER_MS)

    with opening(browser, table_service, wait) as open_it:
        yield open_it


def fill(page: Page, light: str = "0.1", emf: str = "20.5") -> None:
    for name in ("Species", "Core", "Soil"):
        page.locator(f"#field-{name}").select_option(json.dumps(GOOD[name]))
    page.locator("#field-Light_ISF").fill(light)
    page.locator("#field-EMF").fill(emf)


@pytest.mark.parametrize(
    ("locale", "light", "field", "button", "answer"),
    [
        ("en-GB", "0.1", "Light", "Ask", ("Survives", "Does not survive")),
        ("es-MX", "0,1", "Luz", "Preguntar", ("Sobrevive", "No sobrevive")),
    ],
)
def test_the_form_is_made_from_the_schema_and_answers_as_the_service(
    open_page: Any, table_service: str, locale: str, light: str, field: str, button: str,
    answer: tuple[str, str], tmp_path: Path,
) -> None:  # fmt: skip
    page = open_page(locale)
    assert page.locator("html").get_attribute("lang") == locale[:2]
    names = page.locator("[data-name]").evaluate_all("all => all.map(e => e.dataset.name)")
    assert names == list(GOOD)
    assert page.get_by_label(field, exact=True).count() == 1
    fill(page, light)
    page.get_by_role("button", name=button).click()
    expect(page.locator("#label")).to_be_visible(timeout=ANSWER_MS)
    [expected] = post(table_service, json=[GOOD]).json()["predictions"]
    said = dict(zip(expected["probabilities"], answer, strict=True))
    assert page.locator("#label").inner_text() == said[expected["label"]]
    shares = page.locator(".name span:last-child").all_inner_texts()
    found = [float(re.sub(r"[^\d,.]", "", text).replace(",", ".")) for text in shares]
    wanted = sorted((100 * p for p in expected["probabilities"].values()), reverse=True)
    assert found == pytest.approx(wanted, abs=0.06)
    page.screenshot(path=tmp_path / "form.png", full_page=True)


def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_sent(open_page: Any) -> None:
    page = open_page()
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#field-Species")).to_be_focused()
    expect(page.locator("#field-Species-wrong")).to_have_text("A value is needed.")
    expect(page.locator("#field-EMF-wrong")).to_be_hidden()  # it may be empty
    fill(page, light="7", emf="many")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#field-Light_ISF-wrong")).to_have_text("A number from 0 to 1.")
    expect(page.locator("#field-EMF-wrong")).to_have_text("A number from 0 to 100.")
    assert page.locator("#field-Light_ISF").get_attribute("aria-invalid") == "true"
    expect(page.locator("#label")).to_be_hidden()
    fill(page, emf="")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#label")).to_be_visible(timeout=ANSWER_MS)


def upload(page: Page, content: str) -> None:
    page.locator("#file").set_input_files(
        {"name": "trees.csv", "mimeType": "text/csv", "buffer": content.encode()}
    )


def test_a_file_is_answered_row_by_row_and_can_be_saved(
    open_page: Any, table_service: str, tmp_path: Path
) -> None:
    page = open_page()
    upload(page, HEADER + LINE * 3)
    expect(page.locator("#body tr")).to_have_count(3, timeout=ANSWER_MS)
    with page.expect_download() as saving:
        page.locator("#save").click()
    saving.value.save_as(tmp_path / "answers.csv")
    saved = pd.read_csv(tmp_path / "answers.csv")
    expected = probabilities(post(table_service, **body(HEADER + LINE * 3, CSV)))
    np.testing.assert_allclose(saved[["survived", "not_survived"]], expected)
    page.screenshot(path=tmp_path / "file.png", full_page=True)
    upload(page, HEADER + LINE.replace("0.1", "dark"))
    error = page.locator("#error")
    expect(error).to_contain_text("row 1: Light_ISF='dark'", timeout=ANSWER_MS)
    assert error.get_attribute("role") == "alert"
    expect(page.locator("#answers")).to_be_hidden()


def test_both_languages_say_the_same_things(open_page: Any) -> None:
    keys = open_page().evaluate(
        "Object.values(TEXTS).map((texts) => Object.keys(texts).sort().join())"
    )
    assert len(keys) == 2 and len(set(keys)) == 1


def test_the_page_may_load_from_its_own_host_only(table_service: str) -> None:
    assert "default-src 'none'" in requests.get(table_service).headers["Content-Security-Policy"]


def test_a_phone_shows_all_without_scrolling_aside(open_page: Any, tmp_path: Path) -> None:
    page = open_page("es-ES", viewport=PHONE, has_touch=True, is_mobile=True)
    upload(page, HEADER + LINE)
    expect(page.locator("#answers")).to_be_visible(timeout=ANSWER_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.screenshot(path=tmp_path / "phone.png", full_page=True)
