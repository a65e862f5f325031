"""Fixtures and settings that hold for all tests."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Before anything imports TensorFlow or matplotlib: quiet, and without a display.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

# A busy machine is slow at times, which is no defect of the code under test.
settings.register_profile("sonda", deadline=None)
settings.load_profile("sonda")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data that SONDA_DATA names; the test is skipped without it."""
    value = os.environ.get("SONDA_DATA", "")
    if not value:
        pytest.skip("SONDA_DATA is unset: no real data to test on")
    if not (root := Path(value).expanduser().resolve()).is_dir():
        pytest.skip(f"SONDA_DATA={value!r} is no folder: no real data to test on")
    return root
