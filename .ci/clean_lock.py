"""Make Pipfile.lock the same for every machine: no package index, no locking machine's platform.

    python .ci/clean_lock.py [LOCK]

The Pipfile lies beside the lock. `make lock` runs this after `pipenv lock`; running it twice
changes nothing.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ON_PLATFORM = re.compile(r"platform|os_name|implementation")
PER_PLATFORM = ("tensorflow", "tensorflow-cpu")
"""Packages that replace each other by platform, as the Pipfile's markers say."""


def clean(lock: dict[str, Any], pipfile: dict[str, Any]) -> dict[str, Any]:
    """Drop the index, and the markers that say nothing or too much.

    Markers on the Python version hold by the Pipfile's `requires`, and pipenv writes some of them
    in one lock and not in the next.

    pipenv resolves for the machine it runs on. What only this machine's TensorFlow asked for
    (keras, h5py, ...) inherits that package's platform marker, so the other TensorFlow would be
    installed without its dependencies; both have the same ones.

    Of a package that `[packages]` and `[gpu]` both name, pipenv writes the entry of `[packages]`
    twice. Markers and extras of its second entry come from the Pipfile.
    """
    lock["_meta"]["sources"] = []
    entries = [*lock["default"].items(), *lock["develop"].items()]
    inherited = [entry.get("markers") for name, entry in entries if name in PER_PLATFORM]
    for name, entry in entries:
        entry.pop("index", None)
        markers = entry.get("markers", "")
        if name not in PER_PLATFORM and (markers in inherited or not ON_PLATFORM.search(markers)):
            entry.pop("markers", None)
    for name, entry in lock["gpu"].items():
        entry.pop("index", None)
        given = pipfile["gpu"].get(name, {})
        if given or not ON_PLATFORM.search(entry.get("markers", "")):
            entry.pop("markers", None)
        entry |= {key: given[key] for key in ("markers", "extras") if key in given}
    return lock


def main() -> int:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "Pipfile.lock")
    pipfile = tomllib.loads(path.with_name("Pipfile").read_text())
    lock = clean(json.loads(path.read_text()), pipfile)
    path.write_text(json.dumps(lock, indent=4, sort_keys=True, separators=(",", ": ")) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
