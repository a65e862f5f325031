"""Run mypy on the project, the training folders included.

    python .ci/check_types.py

A module name has no hyphen, and training folders are named <model>-<dataset>_v<N>. So mypy runs in
a temporary tree of links, where their names have underscores; its messages name the real folders.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        tree, trainings = Path(folder), {}
        for path in ROOT.iterdir():
            if path.name != "train":
                (tree / path.name).symlink_to(path)
        (tree / "train").mkdir()
        for path in (ROOT / "train").iterdir():
            name = path.name.replace("-", "_")
            (tree / "train" / name).symlink_to(path)
            trainings[f"train/{name}/"] = f"train/{path.name}/"
        command = [sys.executable, "-m", "mypy", "--cache-dir", str(ROOT / ".mypy_cache")]
        done = subprocess.run(command, cwd=tree, stdout=subprocess.PIPE, text=True)
    for name, real in trainings.items():
        done.stdout = done.stdout.replace(name, real)
    print(done.stdout, end="")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
