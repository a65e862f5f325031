"""Write what the image of a service installs: the packages it needs, as Pipfile.lock pins them.

    python .ci/image_requirements.py > deploy/serving/requirements.txt
    python .ci/image_requirements.py tables > deploy/serving/requirements-tables.txt

What needs what is read from the installed packages, so the environment must be that of the lock.
BentoML is not in the list: it adds itself to every image.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.metadata import requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

DIRECT = {
    "images": ("bentoml", "numpy", "openvino", "pillow", "pydicom"),
    "tables": ("bentoml", "numpy", "pandas", "scikit-learn", "skops"),
}
"""What each kind of service imports; the rest of what it imports BentoML cannot do without."""
LOCK = Path(__file__).parents[1] / "Pipfile.lock"
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


def requirements(lock: dict[str, Any], kind: str) -> str:
    """The text of the requirements file. Raises KeyError for a package that is not locked."""
    names = sorted(closure(DIRECT[kind]) - {"bentoml"})
    return HEADER + "".join(f"{name}{lock['default'][name]['version']}\n" for name in names)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", nargs="?", choices=DIRECT, default="images")
    sys.stdout.write(requirements(json.loads(LOCK.read_text()), parser.parse_args().kind))
