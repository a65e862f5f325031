"""What the image of a service installs."""

import json
import subprocess
import sys

import pytest

from tests.common import ROOT


@pytest.mark.parametrize(
    ("kind", "file"), [("images", "requirements.txt"), ("tables", "requirements-tables.txt")]
)
def test_the_image_installs_what_is_locked(kind: str, file: str) -> None:
    written = subprocess.run(
        [sys.executable, ".ci/image_requirements.py", kind],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert (ROOT / "deploy/serving" / file).read_text() == written, (
        f"write it again: python .ci/image_requirements.py {kind} > deploy/serving/{file}"
    )
    from deploy.serving.container import UV

    locked = json.loads((ROOT / "Pipfile.lock").read_text())["develop"]["uv"]["version"]
    assert f"uv{locked}" == UV
