"""What the image of a service installs, and its bill of materials."""

import json
import runpy
from typing import Any

import pytest

from tests.common import ROOT

SERVING = ROOT / "deploy" / "serving"


@pytest.fixture(scope="module")
def lock() -> dict[str, Any]:
    return dict(json.loads((ROOT / "Pipfile.lock").read_text()))


def test_the_image_installs_what_is_locked_with_its_hashes(lock: dict[str, Any]) -> None:
    files = runpy.run_path(str(ROOT / ".ci" / "image_requirements.py"))["files"]
    for name, text in files(lock).items():
        assert (SERVING / name).read_text() == text, (
            f"write {name} again: python .ci/image_requirements.py"
        )


@pytest.mark.parametrize("suffix", ["", "-tables"])
def test_every_line_has_a_hash_and_a_component_in_the_bill(suffix: str) -> None:
    lines = (SERVING / f"requirements{suffix}.txt").read_text().splitlines()[1:]
    assert all(" --hash=sha256:" in line for line in lines)
    bill = json.loads((SERVING / f"sbom{suffix}.json").read_text())
    assert bill["bomFormat"] == "CycloneDX" and bill["specVersion"] == "1.6"
    named = {f"{each['name']}=={each['version']}" for each in bill["components"]}
    assert {line.split()[0] for line in lines} < named
    assert any(name.startswith("bentoml==") for name in named)


def test_the_installer_is_the_locked_one(lock: dict[str, Any]) -> None:
    from deploy.serving.container import UV

    assert f"uv{lock['develop']['uv']['version']}" == UV
