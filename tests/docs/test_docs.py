"""The documentation is complete, opens without a network, and draws its diagrams and formulas."""

import ast
import importlib
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from playwright.sync_api import Page

from tests.common import ROOT
from tests.docs.common import DRAWN_MS, UNREACHABLE, open_drawn, run_build

pytestmark = pytest.mark.slow

PACKAGES = ("conf", "datasets", "models", "train")
LOADS = re.compile(
    r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?(?:https?:)?//[^>]*"
    r"|\bfrom\s+[\"']https?://[^\"']*|url\([\"']?https?://[^)]*"
)
NOTATION = r'''r"""The notation of class diagrams.

```mermaid
classDiagram
class DS["DataSetV1"]{
    client ~str~
    config ~DictConfig~

    -__init__(client~str~, config~DictConfig~) None
    +createDS() ~bool~
    #check() ~bool~
}
DS <|-- DictConfig
```

One formula \(a_1 * b_2 * c_3 < d\) in the text, `$5 and $6` in code, and on its own:

$$
\begin{aligned} x &= \{1, 2\} \\ y_i &= \sum_j w_{ij} \end{aligned}
$$
"""

SETTING = "${env.limits.epochs} and ${env.limits.image_size}"
'''


def write_package(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(text)
    return folder


@pytest.fixture(scope="module")
def notation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small package in a training folder's name."""
    root = tmp_path_factory.mktemp("notation")
    write_package(root / "small", '"""Small."""')
    write_package(root / "small" / "net-frames_v1", NOTATION)
    done = run_build(root / "site", root / "small")
    assert done.returncode == 0, done.stderr
    return root / "site" / "small" / "net-frames_v1.html"


def assert_well_drawn(page: Page) -> None:
    text = page.inner_text("main")
    assert "Syntax error" not in text  # what Mermaid draws in place of a diagram it cannot read
    assert page.locator("[data-mjx-error]").count() == 0
    assert page.locator(".docstring svg .error-icon").count() == 0
    prose = page.evaluate(
        """() => [...document.querySelectorAll('.docstring')].map((docstring) => {
            const copy = docstring.cloneNode(true);
            copy.querySelectorAll('code, pre, mjx-container').forEach((e) => e.remove());
            return copy.textContent;
        }).join(' ')"""
    )
    assert not re.search(r"\$\$|\\\(|\\\[", prose)


def handed_on(path: Path) -> bool:
    """Whether the package of a module shows on its own page what it takes from its modules."""
    home = path.with_name("__init__.py")
    return path != home and home.exists() and "\n__all__ = " in home.read_text()


def test_every_module_has_a_page(documentation: Path) -> None:
    sources = [
        path.relative_to(ROOT)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__main__.py" and "notebooks" not in path.parts and not handed_on(path)
    ]
    pages = {
        (path.parent if path.name == "__init__.py" else path.with_suffix("")).with_suffix(".html")
        for path in sources
    }
    # A folder without __init__.py would be left out in silence.
    assert len(pages) > len(PACKAGES)
    assert sorted(str(page) for page in pages if not (documentation / page).exists()) == []


def test_every_class_of_the_schema_is_shown_once_and_on_the_page_of_the_package(
    documentation: Path,
) -> None:
    modules = (ROOT / "conf" / "schema").glob("*.py")
    nodes = [node for path in modules for node in ast.parse(path.read_text()).body]
    shown = [
        (path.relative_to(documentation).as_posix(), name)
        for path in (documentation / "conf").rglob("*.html")
        for name in re.findall(r'<section id="(\w+)">', path.read_text())
    ]
    classes = {node.name for node in nodes if isinstance(node, ast.ClassDef)}
    assert classes
    assert sorted((page, name) for page, name in shown if name in classes) == [
        ("conf/schema.html", name) for name in sorted(classes)
    ]


def test_deploy_has_no_page(documentation: Path) -> None:
    assert not [
        path
        for path in documentation.rglob("*")
        if "deploy" in path.relative_to(documentation).parts[0]
    ]
    assert 'href="deploy' not in (documentation / "index.html").read_text()


def test_no_page_loads_anything_from_elsewhere(documentation: Path) -> None:
    pages = sorted(documentation.rglob("*.html"))
    assert pages
    assert {path.name: LOADS.findall(path.read_text()) for path in pages} == {
        path.name: [] for path in pages
    }


def test_no_page_shows_where_this_machine_keeps_the_project(documentation: Path) -> None:
    pages = [*documentation.rglob("*.html"), documentation / "search.js"]
    assert [page for page in pages if str(ROOT) in page.read_text()] == []


def test_the_landing_page_lists_every_module(documentation: Path, page: Page) -> None:
    open_drawn(page, documentation / "index.html")
    assert page.title() == "Sonda"
    modules = {row.get_attribute("href") for row in page.locator("table.modules a").all()}
    guides = {row.get_attribute("href") for row in page.locator("ul.guides a").all()}
    pages = {path.relative_to(documentation).as_posix() for path in documentation.rglob("*.html")}
    assert modules | guides == pages - {"index.html", "guides.html"}


def test_every_diagram_and_formula_of_the_project_is_drawn(documentation: Path, page: Page) -> None:
    diagrams = formulas = 0
    for path in sorted(documentation.rglob("*.html")):
        text = path.read_text()
        if 'class="mermaid"' not in text and not re.search(r"\\\(|\$\$", text):
            continue
        open_drawn(page, path)
        assert_well_drawn(page)
        diagrams += page.locator(".mermaid svg").count()
        formulas += page.locator("mjx-container svg").count()
    assert diagrams
    assert formulas


def test_the_class_notation_of_the_project_is_drawn(notation: Path, page: Page) -> None:
    open_drawn(page, notation)
    assert_well_drawn(page)
    diagram = page.locator(".mermaid svg")
    assert diagram.count() == 1
    text = diagram.text_content() or ""
    for member in ("DataSetV1", "client <str>", "-__init__(client<str>", "+createDS() : <bool>"):
        assert member in text


def test_markdown_leaves_formulas_alone(notation: Path, page: Page) -> None:
    open_drawn(page, notation)
    formulas = page.evaluate(
        "[...MathJax.startup.document.math].map((formula) => formula.math.trim())"
    )
    assert formulas == [
        r"a_1 * b_2 * c_3 < d",
        r"\begin{aligned} x &= \{1, 2\} \\ y_i &= \sum_j w_{ij} \end{aligned}",
    ]
    assert page.locator("mjx-container svg").count() == len(formulas)


def test_search_finds_and_draws_without_a_network(notation: Path, page: Page) -> None:
    open_drawn(page, notation.parents[1] / "small.html", "?search=notation")
    page.wait_for_selector(".search-result .mermaid svg", timeout=DRAWN_MS)
    page.wait_for_selector(".search-result mjx-container svg", timeout=DRAWN_MS)
    assert "net-frames_v1" in page.inner_text("main")


def test_a_module_that_cannot_be_imported_fails_the_build(tmp_path: Path) -> None:
    package = write_package(tmp_path / "small", '"""Small."""')
    (package / "broken.py").write_text("import a_module_that_is_not_there\n")
    done = run_build(tmp_path / "site", package)
    assert done.returncode == 1
    assert "cannot import small.broken" in done.stderr
    assert "a_module_that_is_not_there" in done.stderr
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(
    "markup",
    [
        "![chart](https://example.org/chart.png)",
        '<script src="//example.org/a.js"></script>',
        '<link rel="stylesheet" href="http://example.org/a.css">',
        '<script type="module">import a from "https://example.org/a.mjs";</script>',
        "<style>@import 'https://example.org/a.css';</style>",
    ],
)
def test_a_page_that_loads_from_elsewhere_fails_the_build(markup: str, tmp_path: Path) -> None:
    package = write_package(tmp_path / "small", f"__doc__ = {markup!r}")
    done = run_build(tmp_path / "site", package)
    assert done.returncode == 1
    assert "small.html" in done.stderr
    assert "example.org" in done.stderr


def test_a_link_to_elsewhere_is_no_load(tmp_path: Path) -> None:
    package = write_package(tmp_path / "small", '"""See [the paper](https://example.org/a)."""')
    done = run_build(tmp_path / "site", package)
    assert done.returncode == 0, done.stderr


def test_a_folder_of_something_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = run_build(tmp_path, ROOT / "conf")
    assert done.returncode == 1
    assert "holds something else" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.fixture
def build() -> ModuleType:
    return importlib.import_module("docs.build")


def test_an_unreachable_registry_is_named(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    with pytest.raises(SystemExit, match=UNREACHABLE):
        build.install_scripts(tmp_path / "scripts")
    assert not (tmp_path / "scripts" / "installed.json").exists()


def test_a_script_with_another_hash_is_refused(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(ROOT / "docs" / name, tmp_path)
    lock = tmp_path / "package-lock.json"
    lock.write_text(re.sub(r"sha512-[\w+/]{8}", "sha512-AAAAAAAA", lock.read_text()))
    monkeypatch.setattr(build, "DOCS", tmp_path)
    with pytest.raises(SystemExit) as refused:
        build.install_scripts(tmp_path / "scripts")
    if UNREACHABLE in str(refused.value):
        pytest.skip(UNREACHABLE)
    assert "does not match" in str(refused.value)
