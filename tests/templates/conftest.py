"""A repository of which the generators may write."""

from pathlib import Path

import pytest

from tests.common import clone


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the working tree, alone in its folder."""
    return clone(tmp_path_factory.mktemp("templates") / "repository")
