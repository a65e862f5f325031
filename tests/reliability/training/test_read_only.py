"""A cache that cannot be written: named, with the way out, and without a traceback."""

from pathlib import Path

import pytest

from tests.train.conftest import FEW_LAYERS, finish, mounted, start


@pytest.mark.slow
def test_a_read_only_cache_is_named_with_the_way_out(server: str, tmp_path: Path) -> None:
    disk = tmp_path / "cache"
    with mounted(disk, "ro"):
        status, output = finish(start(server, tmp_path, *FEW_LAYERS))
    assert status == 1, output
    assert f"{disk}" in output and "Read-only file system" in output
    assert "env.cache=" in output
    assert "Traceback" not in output
