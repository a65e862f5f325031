"""ACCELERATOR=gpu: which packages it takes from the lock, and when .venv is built again."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.common import ROOT
from tests.test_setup import requirements, run


def test_a_gpu_gets_the_same_packages_but_tensorflow_with_its_libraries() -> None:
    lock = json.loads((ROOT / "Pipfile.lock").read_text())
    cpu, gpu = (requirements.requirements(lock, (), kind) for kind in ("cpu", "gpu"))
    added, removed = sorted(set(gpu) - set(cpu)), set(cpu) - set(gpu)
    assert {line.split("==")[0] for line in removed} == {"tensorflow", "tensorflow-cpu"}
    *libraries, tensorflow = added
    assert tensorflow.startswith(f"tensorflow[and-cuda]{lock['gpu']['tensorflow']['version']} \\")
    assert {"nvidia-cudnn-cu12", "nvidia-nccl-cu12"} <= {n.split("==")[0] for n in libraries}
    assert all(line.startswith("nvidia-") for line in libraries)


def test_another_accelerator_builds_the_environment_again(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    stamp = tmp_path / ".venv" / ".locked"
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").touch()
    (tmp_path / "Pipfile.lock").touch()

    def built(*words: str, **variables: str) -> list[str]:
        lines = run("make", "--dry-run", *words, cwd=tmp_path, **variables).stdout
        return re.findall(r"--accelerator (\w+)", lines)

    assert built("setup") == ["cpu"]
    stamp.write_text("cpu\n")
    assert built("setup") == built("train") == []
    assert built("setup", "ACCELERATOR=gpu") == built("train", ACCELERATOR="gpu") == ["gpu"]
    stamp.write_text("gpu\n")
    assert built("setup") == built("train") == built("setup", ACCELERATOR="gpu") == []
    assert built("setup", "ACCELERATOR=cpu") == ["cpu"]
    stamp.write_text("")  # of a version before there was a choice
    assert built("setup") == []
    refused = run("make", "setup", "ACCELERATOR=tpu", cwd=tmp_path)
    assert refused.returncode and "ACCELERATOR=tpu is neither cpu nor gpu" in refused.stderr


def test_another_machine_than_linux_on_x86_64_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["requirements.py", "--accelerator", "gpu"])
    monkeypatch.setattr(requirements.platform, "machine", lambda: "aarch64")
    assert requirements.main() == 1
    assert "on linux x86_64 only, and this is linux aarch64" in capsys.readouterr().err
