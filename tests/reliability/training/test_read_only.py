"""A cache that cannot be written: named, with the way out, and without a traceback."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.train.conftest import FEW_LAYERS, finish, start


@pytest.mark.slow
def test_a_read_only_cache_is_named_with_the_way_out(server: str, tmp_path: Path) -> None:
    disk = tmp_path / "cache"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("a read-only file system cannot be mounted here: root is needed")
    try:
        status, output = finish(start(server, tmp_path, *FEW_LAYERS))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert status == 1, output
    assert f"{disk}" in output and "Read-only file system" in output
    assert "env.cache=" in output
    assert "Traceback" not in output
