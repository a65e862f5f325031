"""What the image of a service installs."""

import json
import subprocess
import sys

import pytest

from tests.common import ROOT


def test_the_image_installs_what_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    written = subprocess.run(
        [sys.executable, ".ci/image_requirements.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert (ROOT / "deploy/serving/requirements.txt").read_text() == written, (
        "write it again: python .ci/image_requirements.py > deploy/serving/requirements.txt"
    )
    monkeypatch.syspath_prepend(str(ROOT / "deploy"))
    from serving.image import UV

    locked = json.loads((ROOT / "Pipfile.lock").read_text())["develop"]["uv"]["version"]
    assert f"uv{locked}" == UV
