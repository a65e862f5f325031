"""Fixtures and settings that hold for all tests."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.common import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Before anything imports TensorFlow or matplotlib: quiet, and without a display.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

# A busy machine is slow at times, which is no defect of the code under test.
settings.register_profile("sonda", deadline=None)
settings.load_profile("sonda")


CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class ByFile(LoadScopeScheduling):
    """One process runs all tests of a file, and all files that share a model trained once."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith("tests/deploy/"):  # its session fixtures start services
            return "tests/deploy"
        return "unbroken" if "unbroken" in (ROOT / file).read_text("utf-8") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Choose how pytest-xdist distributes the tests."""
    return ByFile(config, log)


@pytest.fixture(autouse=True, scope="module")
def tracking_as_before() -> Iterator[None]:
    """No file inherits the address to which another one pointed MLflow in this process."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    yield
    if "mlflow" in sys.modules:
        sys.modules["mlflow"].set_tracking_uri(before)


@pytest.fixture(autouse=True)
def no_experiment() -> Iterator[None]:
    """A training in the test's own process chooses MLflow's experiment, which no test inherits."""
    yield
    if "mlflow" in sys.modules:
        from mlflow.tracking import fluent

        fluent._active_experiment_id = None  # MLflow has no public way back


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    names = ("chromium", "chromium-browser", "google-chrome")
    if not (path := next(filter(None, map(shutil.which, names)), None)):
        pytest.skip(f"none of {', '.join(names)} is installed: no browser to open pages with")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data that SONDA_DATA names; the test is skipped without it."""
    value = os.environ.get("SONDA_DATA", "")
    if not value:
        pytest.skip("SONDA_DATA is unset: no real data to test on")
    if not (root := Path(value).expanduser().resolve()).is_dir():
        pytest.skip(f"SONDA_DATA={value!r} is no folder: no real data to test on")
    return root
