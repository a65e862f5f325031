"""Write Pipfile.lock as a requirements file whose every line is pinned and hashed.

    python .ci/requirements.py [--accelerator cpu|gpu] [--only NAME ...] [LOCK] > requirements.txt

Standard library only: it runs before anything is installed. Default and development packages
are merged, and those of `gpu` with `--accelerator gpu`; one that several sections lock must be
locked alike.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SECTIONS = {"cpu": ("default", "develop"), "gpu": ("default", "develop", "gpu")}
"""Sections of the lock for each accelerator."""
REPLACED = {"cpu": (), "gpu": ("tensorflow-cpu",)}
"""Packages left out: both TensorFlows write the same files."""
CUDA = ("linux", "x86_64")
"""Where TensorFlow has wheels for NVIDIA's GPUs."""


def requirement(name: str, entry: dict[str, Any]) -> str:
    """One requirement line: name[extras]==version ; markers --hash=... .

    Raises ValueError where the entry has no exact version or no hash, since an installer told
    to require hashes would otherwise fail with a line that names neither.
    """
    version, hashes = entry.get("version", ""), entry.get("hashes", [])
    if not version.startswith("=="):
        raise ValueError(f"{name} is not pinned with ==: version={version!r}; run `make lock`")
    if not hashes:
        raise ValueError(f"{name}{version} has no hashes; run `make lock`")
    extras = f"[{','.join(sorted(entry['extras']))}]" if entry.get("extras") else ""
    markers = f" ; {entry['markers']}" if entry.get("markers") else ""
    return " \\\n    ".join(
        [f"{name}{extras}{version}{markers}", *(f"--hash={digest}" for digest in sorted(hashes))]
    )


def requirements(
    lock: dict[str, Any], only: Iterable[str] = (), accelerator: str = "cpu"
) -> list[str]:
    """All lines of a lock, sorted by name; `only` restricts them to the packages named."""
    merged: dict[str, dict[str, Any]] = {}
    for section in SECTIONS[accelerator]:
        for name, entry in lock.get(section, {}).items():
            if name in REPLACED[accelerator]:
                continue
            known = merged.setdefault(name, dict(entry))
            if known["version"] != entry["version"]:
                raise ValueError(
                    f"{name} is locked twice: {known['version']} and {entry['version']}; "
                    "run `make lock`"
                )
            known["extras"] = sorted({*known.get("extras", ()), *entry.get("extras", ())})
            # Needed everywhere by one section is needed everywhere.
            if not entry.get("markers"):
                known.pop("markers", None)
            elif known.get("markers") and known["markers"] != entry["markers"]:
                known["markers"] = f"({known['markers']}) or ({entry['markers']})"
    wanted = set(only) or set(merged)
    if missing := wanted - set(merged):
        raise ValueError(f"not in the lock: {', '.join(sorted(missing))}")
    return [requirement(name, merged[name]) for name in sorted(wanted)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lock", nargs="?", type=Path, default=Path("Pipfile.lock"))
    parser.add_argument("--only", nargs="*", default=(), metavar="NAME")
    parser.add_argument("--accelerator", choices=SECTIONS, default="cpu")
    arguments = parser.parse_args()
    machine = (sys.platform, platform.machine())
    if arguments.accelerator == "gpu" and machine != CUDA:
        print(
            f"ACCELERATOR=gpu: TensorFlow has packages for NVIDIA GPUs on {' '.join(CUDA)} only, "
            f"and this is {' '.join(machine)}; use ACCELERATOR=cpu",
            file=sys.stderr,
        )
        return 1
    try:
        lines = requirements(
            json.loads(arguments.lock.read_text()), arguments.only, arguments.accelerator
        )
    except (OSError, ValueError, KeyError) as error:
        print(f"{arguments.lock}: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
