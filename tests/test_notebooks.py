"""Every notebook runs from top to bottom with no network, and is kept without its outputs."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from tests.common import ROOT

NOTEBOOKS = sorted(ROOT.glob("datasets/*/notebooks/*.ipynb")) + sorted(
    ROOT.glob("models/*/notebooks/*.ipynb")
)
CELL_SECONDS = 300
"""The first cell of a model's notebook imports TensorFlow, which a busy machine is slow at."""
NOBODY = "http://127.0.0.1:9"
"""The discard port, where nobody listens: a download through it fails."""


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelManager]:
    """One process for all, for each import of TensorFlow costs 10 seconds."""
    manager = KernelManager(kernel_name="python3")
    proxies = {"http_proxy": NOBODY, "https_proxy": NOBODY, "no_proxy": "127.0.0.1,localhost"}
    manager.start_kernel(env=os.environ | proxies)
    yield manager
    manager.shutdown_kernel(now=True)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_it_runs(path: Path, kernel: KernelManager) -> None:
    notebook = read(path)
    home = f"%reset -f\n%cd -q {path.parent}"  # as in a kernel of its own, but for the imports
    notebook.cells.insert(0, nbformat.v4.new_code_cell(home))
    NotebookClient(notebook, km=kernel, timeout=CELL_SECONDS).execute()
    assert any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_it_is_short_and_kept_without_outputs(path: Path) -> None:
    cells = read(path).cells
    assert len(cells) < 13
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
    assert not re.search(r"!\s*pip|%pip|/home/|/tmp/", path.read_text())
