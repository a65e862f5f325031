"""mypy reads what is ours, also the trainings, whose folders have a hyphen in their names."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.common import ROOT

WRONG = 'width: int = "a"\n'
READ = (
    "train/net-frames_v1/steps/train.py",
    "deploy/net/V1/service.py",
    "deploy/serving/http/limits.py",
    "conf/entry.py",
)


def test_a_wrong_type_is_found_in_every_folder(tmp_path: Path) -> None:
    for name in (".ci/check_types.py", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    settings = tomllib.loads((tmp_path / "pyproject.toml").read_text())
    empty = [f"{folder}/empty.py" for folder in settings["tool"]["mypy"]["files"]]
    for name in (*empty, *READ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(WRONG if name in READ else "")
    done = subprocess.run(
        [sys.executable, ".ci/check_types.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    assert {line.split(":")[0] for line in done.stdout.splitlines()[:-1]} == set(READ), done.stdout
