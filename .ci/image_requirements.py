"""Write what the image of a service installs: the packages it needs, as Pipfile.lock pins them.

    python .ci/image_requirements.py

For each kind of service it writes `deploy/serving/requirements*.txt`, with the hashes of the lock,
and the bill of materials `deploy/serving/sbom*.json` (CycloneDX 1.6), which both go into every
Bento. What needs what is read from the installed packages, so the environment must be that of the
lock. BentoML is in the bill only: it adds itself to every image.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.metadata import metadata, requires
from pathlib import Path
from typing import Any

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import BY_SCHEMA_VERSION as OUTPUT
from cyclonedx.schema import SchemaVersion
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

DIRECT = {
    "images": ("bentoml", "numpy", "openvino", "pillow", "pydicom"),
    "tables": ("bentoml", "numpy", "pandas", "scikit-learn", "skops"),
}
"""What each kind of service imports; the rest of what it imports BentoML cannot do without."""
SUFFIX = {"images": "", "tables": "-tables"}
ROOT = Path(__file__).parents[1]
HEADER = "# Written by .ci/image_requirements.py from Pipfile.lock; not to be edited.\n"


def closure(names: tuple[str, ...]) -> set[str]:
    """The names of `names` and of all they need on this platform, themselves included."""
    known: dict[str, set[str]] = {}
    waiting: list[tuple[str, set[str]]] = [(name, {""}) for name in names]
    while waiting:
        name, extras = waiting.pop()
        seen = known.setdefault(canonicalize_name(name), set())
        if extras <= seen:
            continue
        seen |= extras
        for line in requires(name) or ():
            needed = Requirement(line)
            if not needed.marker or any(needed.marker.evaluate({"extra": e}) for e in seen):
                waiting.append((needed.name, {"", *needed.extras}))
    return set(known)


def requirements(lock: dict[str, Any], names: Iterable[str]) -> str:
    """One line for each package, with its hashes. Raises KeyError for one that is not locked."""
    lines = []
    for name in sorted(names):
        entry = lock["default"][name]
        hashes = " ".join(f"--hash={each}" for each in sorted(entry["hashes"]))
        lines.append(f"{name}{entry['version']} {hashes}\n")
    return "".join(lines)


def bill(lock: dict[str, Any], names: Iterable[str]) -> str:
    """The bill of materials of the packages `names`, as CycloneDX; the same in each call."""
    components = []
    for name in sorted(names):
        release = lock["default"][name]["version"].removeprefix("==")
        purl = PackageURL("pypi", name=name, version=release)
        known = metadata(name).json
        licence = str(known.get("license_expression") or known.get("license") or "")
        components.append(
            Component(
                name=name,
                version=release,
                purl=purl,
                bom_ref=str(purl),
                licenses=[DisjunctiveLicense(name=licence.splitlines()[0])] if licence else [],
            )
        )
    text = OUTPUT[SchemaVersion.V1_6](Bom(components=components)).output_as_string(indent=1)
    facts = json.loads(text)
    del facts["serialNumber"], facts["metadata"]["timestamp"]
    return json.dumps(facts, indent=1) + "\n"


def files(lock: dict[str, Any]) -> dict[str, str]:
    """Name and text of each file that this writes to `deploy/serving`."""
    written = {}
    for kind, suffix in SUFFIX.items():
        needed = closure(DIRECT[kind])
        written[f"requirements{suffix}.txt"] = HEADER + requirements(lock, needed - {"bentoml"})
        written[f"sbom{suffix}.json"] = bill(lock, needed)
    return written


if __name__ == "__main__":
    for name, text in files(json.loads((ROOT / "Pipfile.lock").read_text())).items():
        (ROOT / "deploy" / "serving" / name).write_text(text)
