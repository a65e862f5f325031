"""What the tests of the generators share."""

import os
import subprocess
import sys
from pathlib import Path


def run(root: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`command` in `root`; the first word `python` is ours."""
    words = [sys.executable if word == "python" else word for word in command]
    return subprocess.run(
        words, cwd=root, env=os.environ | variables, capture_output=True, text=True
    )


def make(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`make` with the environment as it is, whatever the times of its files say."""
    return run(root, "make", "--old-file", ".venv/.locked", *words)


def added(root: Path) -> list[str]:
    """New files of a clone; fails where a tracked one but dvc.yaml was changed."""
    lines = run(root, "git", "status", "--porcelain", "--untracked-files=all").stdout.splitlines()
    changed = [line[3:] for line in lines if not line.startswith("??")]
    assert set(changed) <= {"dvc.yaml"}, changed
    return sorted(line[3:] for line in lines if line.startswith("??") and ".venv" not in line)
