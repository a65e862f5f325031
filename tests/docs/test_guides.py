"""README and guides: links lead somewhere, commands work, tables are those of their sources."""

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import Page

from conf import schema
from deploy.serving.version import VERSION
from docs import settings, tables
from docs.markdown import filled
from docs.pages import CODE, COMMENT, ELSEWHERE, LINK, README, SOURCE, sources
from tests.common import ROOT
from tests.docs.commands import commands, problem
from tests.docs.common import DRAWN_MS, open_drawn

PAGES = {path.relative_to(ROOT).as_posix(): path for path in (README, *sources().values())}
LONGEST_README = 130
LARGEST_PICTURE = 200_000
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    text = re.sub(r"^[ \t]*```.*?^[ \t]*```", "", path.read_text(), flags=re.M | re.S)
    seen: Counter[str] = Counter()
    found = set()
    for heading in HEADING.findall(text):
        words = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower())
        slug = words.strip().replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def broken_links(path: Path) -> list[str]:
    """The links of a page of Markdown that lead to no file, or to no heading of it."""
    text = CODE.sub(lambda _: "`code`", COMMENT.sub("", path.read_text()))
    targets = [found["target"] for pattern in (LINK, SOURCE) for found in pattern.finditer(text)]
    broken = []
    for target in targets:
        if target.startswith(ELSEWHERE) and not target.startswith("#"):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / unquote(name) if name else path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    return broken


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_to_a_file_and_a_heading(name: str) -> None:
    assert broken_links(PAGES[name]) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n[a](#a-page) [b](#b) [c](page.md#a-page) [d](page.md#d) [`e`](e.md) "
        "`[f](f.md)` <https://example.org> [g](https://example.org/g)\n"
        '![h](h.png) <img src="i.png"> [k](#not-a-heading)\n'
        "```text\n# Not a heading\n[j](j.md)\n```\n"
    )
    assert broken_links(page) == ["#b", "page.md#d", "e.md", "h.png", "#not-a-heading", "i.png"]


@pytest.mark.parametrize("name", PAGES)
def test_every_command_of_a_page_works(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite://")
    named = list(commands(PAGES[name].read_text()))
    assert [f"{one}: {wrong}" for one in named if (wrong := problem(one))] == []


def test_the_readme_names_commands_of_every_kind() -> None:
    programs = {one.split()[0] for one in commands(README.read_text())}
    assert {"make", "python", "curl", "export"} <= programs


@pytest.mark.parametrize(
    "command",
    [
        "make tarin",
        "make train EPOCHS=3",
        "make train PIPELINE=train_nothing",
        "make serve DEPLOYMENT=resnet50v2ft/V0",
        "make promote MODEL=resnet50v2ft-nothing VERSION=1",
        "python -m train +pipeline=train_nothing",
        "python -m train +pipeline=study_kvasir4",
        "python -m train +pipeline=train_resnet50v2ft fit.finetune.epoch=3",
        "python -m train +pipeline=train_resnet50v2ft split.by=patient",
        "python -m models +pipeline=predict_resnet50v2ft",
        "python -m docs.nothing",
        "python -m docs.results --runs 1",
        "python -m docs.benchmarks --name serving -- tests/benchmarks/serving.py --round 3",
        "python tests/benchmarks/nothing.py",
        "deploy/resnet50v2ft/V1/ecr.sh --ecr-nam x",
        "deploy/resnet50v2ft/V9/ecr.sh",
        "curl http://127.0.0.1:3000/predictions",
        "mlflow servers",
        "mlflow server --artifact-destination s3://bucket",
        "bentoml containerize a:b --back podman",
        "dvc remote modify --locale local url /a",
        "frobnicate",
    ],
)
def test_a_command_that_does_not_work_is_found(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite://")
    assert problem(command)


@pytest.mark.parametrize("name", PAGES)
def test_every_table_is_that_of_its_source(name: str) -> None:
    text = PAGES[name].read_text()
    assert filled(text, tables.table_of) == text, "run: python -m docs.tables"


def test_every_setting_of_every_recipe_has_a_meaning() -> None:
    found = {
        setting.key: setting
        for name, recipe in schema.RECIPES.items()
        for setting in settings.described(recipe, "", name.partition("_")[0])
    }
    assert {"seed", "fit.finetune.epochs", "dataset.dicom.centre", "predict.input"} <= set(found)
    assert sorted(key for key, setting in found.items() if not setting.meaning) == []


def test_the_table_of_settings_shows_type_default_and_choices() -> None:
    rows = settings.settings().splitlines()
    [folds] = [row for row in rows if row.startswith("| `split.folds`")]
    assert folds.startswith("| `split.folds` | `int, null` | `null` |")
    [how] = [row for row in rows if row.startswith("| `split.by`")]
    assert "`official, cluster, source, random` | `official`" in how
    # A part that a recipe fills with other defaults: those of the recipe.
    resamples = [row for row in rows if row.startswith("| `probes.bootstrap`")]
    assert [re.findall(r"cap:(\d+),", row) for row in resamples] == [["1000"], ["200"]]


def test_the_readme_is_short_and_its_pictures_are_small() -> None:
    assert len(README.read_text().splitlines()) <= LONGEST_README
    pictures = list((ROOT / "docs" / "pictures").iterdir())
    assert pictures
    assert [path.name for path in pictures if path.stat().st_size > LARGEST_PICTURE] == []
    shown = "".join(path.read_text() for path in PAGES.values())
    assert [path.name for path in pictures if path.name not in shown] == []


def test_the_version_is_the_newest_of_the_changelog_and_the_one_to_cite() -> None:
    versions = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[:2] == ["Unreleased", VERSION]
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text()


class Links(HTMLParser):
    """The links and the anchors of a page of the site."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a link, and what can be linked to."""
        values = dict(attrs)
        if tag == "a" and (href := values.get("href")):
            self.links.add(href)
        if anchor := values.get("id"):
            self.anchors.add(anchor)


@pytest.mark.slow
def test_every_link_of_the_site_leads_to_a_page_and_an_anchor(documentation: Path) -> None:
    pages = {path: Links(path) for path in documentation.rglob("*.html")}
    broken, inside = [], 0
    for path, page in pages.items():
        for link in page.links:
            if link.startswith(("http://", "https://", "mailto:")):
                continue
            inside += 1
            name, _, anchor = unquote(link).partition("#")
            target = (path.parent / name).resolve() if name else path
            if target not in pages or (anchor and anchor not in pages[target].anchors):
                broken.append(f"{path.relative_to(documentation)}: {link}")
    assert inside > 100
    assert broken == []


@pytest.mark.slow
def test_the_site_shows_every_guide_with_its_title_and_the_version(
    documentation: Path, page: Page
) -> None:
    for name, path in sources().items():
        open_drawn(page, documentation / "guides" / f"{name}.html")
        title = path.read_text().partition("\n")[0].lstrip("# ")
        assert page.title() == f"{title} | Sonda"
        assert page.inner_text("main h1") == title
        assert VERSION in page.inner_text("a.project")
        assert page.locator("ul.guides a").count() == len(sources())
        assert "<!--" not in page.inner_text("main")


@pytest.mark.slow
def test_pictures_of_the_readme_travel_inside_the_landing_page(
    documentation: Path, page: Page
) -> None:
    open_drawn(page, documentation / "index.html")
    pictures = page.locator("main img")
    assert pictures.count() == README.read_text().count("docs/pictures/")
    widths = pictures.evaluate_all("all => all.map((one) => one.naturalWidth)")
    assert min(widths) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("DagsHub", "guides/tracking.html"),
        ("quarantined manifest", "guides/data.html"),
        ("cross_validate", "train/common/cross_validation.html"),
    ],
)
def test_one_search_finds_guides_and_the_api(
    words: str, found: str, documentation: Path, page: Page
) -> None:
    open_drawn(page, documentation / "guides" / "tour.html", f"?search={words}")
    page.wait_for_selector(".search-result", timeout=DRAWN_MS)
    results = page.locator(".search-result > a").evaluate_all("all => all.map((a) => a.href)")
    pages = [
        result.partition("#")[0].removeprefix(f"{documentation.as_uri()}/") for result in results
    ]
    assert found in pages
    # The best guides come first, and leave room for the API.
    guides = [name.startswith("guides/") for name in pages]
    assert guides == sorted(guides, reverse=True)
    assert sum(guides) <= 3
