"""The documentation as the tests build and open it."""

import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.common import ROOT

UNREACHABLE = "npm cannot reach a package registry"
DRAWN_MS = 20_000  # two busy cores; a quiet machine needs one second


def run_build(output: Path, *folders: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "docs.build", "--output", output, *folders],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if UNREACHABLE in done.stderr:
        pytest.skip(f"{UNREACHABLE}, so the pages' scripts cannot be installed")
    return done


def open_drawn(page: Page, path: Path, query: str = "") -> None:
    """Open a page and wait until MathJax and Mermaid have done their work."""
    page.goto(path.as_uri() + query)
    page.wait_for_function("window.MathJax?.startup?.promise !== undefined", timeout=DRAWN_MS)
    page.evaluate("MathJax.startup.promise")
    page.wait_for_function(
        "[...document.querySelectorAll('.mermaid')].every((e) => e.querySelector('svg'))",
        timeout=DRAWN_MS,
    )
