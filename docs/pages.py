"""The README and the guides as pages beside the API: Markdown with links that lead there.

Each guide becomes a module without code in a package `guides`, so that pdoc gives it navigation,
search, formulas and diagrams as it does every docstring. On GitHub the same files are read as they
stand.
"""

import re
from pathlib import Path

from pdoc.docstrings import embed_images

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
GUIDES = ROOT / "docs" / "guides"
ORDER = (
    "data",
    "configuration",
    "results",
    "benchmarks",
    "sweeps",
    "deployment",
    "tracking",
    "tour",
)
"""The order in which the guides are listed; others follow, by name."""
MORE = (ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md")
"""Pages that stand at the root, where GitHub looks for them."""

CODE = re.compile(
    r"^[ \t]*(?P<fence>```+|~~~+).*?^[ \t]*(?P=fence)|(?P<tick>`+).+?(?P=tick)", re.M | re.S
)
LINK = re.compile(r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^()\s]+)\)")
SOURCE = re.compile(r"""(?P<before><img[^>]*?\bsrc=")(?P<target>[^"]+)""")
COMMENT = re.compile(r"<!--.*?-->\n?", re.S)
ELSEWHERE = ("http://", "https://", "mailto:", "#", "data:")


def sources() -> dict[str, Path]:
    """The Markdown file of each page under `guides/`, by the page's name, in their order."""
    known = {name: rank for rank, name in enumerate(ORDER)}
    guides = sorted(GUIDES.glob("*.md"), key=lambda path: (known.get(path.stem, 99), path.stem))
    found = {path.stem: path for path in guides}
    return found | {path.stem.lower(): path for path in MORE if found and path.is_file()}


def title(text: str) -> str:
    """The first heading of a page."""
    return text.partition("\n")[0].lstrip("# ")


def for_site(path: Path, api: list[Path], top: str) -> str:
    """The Markdown of `path` with links that lead inside the site, and pictures inside the text.

    `api` are the folders of the documented packages, `top` is what leads from the page to the
    site's root. A link to a file that has no page there becomes plain text.
    """

    def link(found: re.Match[str]) -> str:
        text, target = found["text"], found["target"]
        if target.startswith(ELSEWHERE):
            return found[0]
        if found["image"]:
            return f"![{text}]({path.parent / target})"
        file, _, anchor = target.partition("#")
        page = _page((path.parent / file).resolve(), api)
        return f"[{text}]({top}{page}{'#' * bool(anchor)}{anchor})" if page else text

    def local(found: re.Match[str]) -> str:
        return f"{found['before']}{path.parent / found['target']}"

    text = COMMENT.sub("", path.read_text())
    linked = "".join(
        part if code else SOURCE.sub(local, LINK.sub(link, part)) for part, code in _parts(text)
    )
    return embed_images(linked, path)


def _parts(text: str) -> list[tuple[str, bool]]:
    """`text` in pieces, each with whether it is a block of code; a link's text may hold code."""
    pieces, end = [], 0
    for found in CODE.finditer(text):
        if found["fence"]:
            pieces += [(text[end : found.start()], False), (found[0], True)]
            end = found.end()
    return [*pieces, (text[end:], False)]


def _page(target: Path, api: list[Path]) -> str | None:
    """The site's page of a file or folder of the repository, or None where it has none."""
    if target == README:
        return "index.html"
    for name, path in sources().items():
        if target == path:
            return f"guides/{name}.html"
    for package in api:
        if target.is_relative_to(package):
            inside = target.relative_to(package.parent)
            if target.name == "__init__.py" or (target / "__init__.py").is_file():
                folder = inside.parent if target.suffix else inside
                return f"{folder.as_posix()}.html"
            if target.suffix == ".py" and target.name != "__main__.py":
                return f"{inside.with_suffix('').as_posix()}.html"
    return None


def write_package(folder: Path, api: list[Path]) -> Path | None:
    """Write the package `guides` below `folder`, a module a page; None where there is no guide."""
    pages = sources()
    if not pages:
        return None
    package = folder / "guides"
    package.mkdir(parents=True)
    listed = ""
    for name, path in pages.items():
        text = for_site(path, api, "../")
        (package / f"{name}.py").write_text(f"__doc__ = {text!r}\n__all__ = []\n")
        listed += f"- [{title(text)}](guides/{name}.html)\n"
    home = f"# Guides\n\n{listed}"
    (package / "__init__.py").write_text(f"__doc__ = {home!r}\n")
    return package
