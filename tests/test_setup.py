"""The environment comes from the lock alone: complete, hashed, and naming no package index."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.common import ROOT

TINY = "iniconfig"
"""A locked package of 7 kB without dependencies, to install for real."""
OLDEST_PYTHON = "3.11.2"
"""Debian 12's own. pipenv locks for the Python that it runs on, which may be newer."""
INSTALL_SECONDS = 120
SLOW = {"browser", "documentation", "guarded"}
"""Fixtures that start a browser, build the documentation, or run a server with accounts."""


def script(name: str) -> ModuleType:
    """A script of .ci as a module; the folder is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


requirements = script("requirements")
clean_lock = script("clean_lock")
run_uv = script("run_uv")


@pytest.fixture(scope="module")
def lock() -> dict[str, Any]:
    return json.loads((ROOT / "Pipfile.lock").read_text())


def entries(lock: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [item for part in ("default", "develop", "gpu") for item in lock[part].items()]


def run(*command: str | Path, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
    )


def test_the_lock_names_no_package_index(lock: dict[str, Any]) -> None:
    assert lock["_meta"]["sources"] == []
    assert not [name for name, entry in entries(lock) if "index" in entry]
    assert "://" not in (ROOT / "Pipfile.lock").read_text()
    assert "[[source]]" not in re.sub(r"(?m)^#.*", "", (ROOT / "Pipfile").read_text())


def test_every_locked_package_is_pinned_and_hashed(lock: dict[str, Any]) -> None:
    for name, entry in entries(lock):
        assert re.fullmatch(r"==[^=*]+", entry["version"]), name
        assert entry["hashes"], name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in entry["hashes"]), name


def test_only_tensorflow_depends_on_the_platform(lock: dict[str, Any]) -> None:
    of_platform = {n for n, e in entries(lock) if "platform_machine" in e.get("markers", "")}
    assert of_platform == {"tensorflow", "tensorflow-cpu"}
    versions = {e["version"] for n, e in entries(lock) if n in of_platform}
    assert len(versions) == 1


def test_requirements_hold_every_package_once_with_all_its_hashes(lock: dict[str, Any]) -> None:
    lines = requirements.requirements(lock)
    names = [re.split(r"[\[=]", line, maxsplit=1)[0] for line in lines]
    assert names == sorted(lock["default"].keys() | lock["develop"].keys())
    for name, line in zip(names, lines, strict=True):
        entry = lock["default"].get(name) or lock["develop"][name]
        assert sorted(entry["hashes"]) == re.findall(r"--hash=(\S+)", line)
        assert entry["version"] in line
    (moto,) = (line for line in lines if line.startswith("moto"))
    assert moto.startswith("moto[server]==")
    (tensorflow,) = (line for line in lines if line.startswith("tensorflow-cpu="))
    assert "; sys_platform == 'linux' and platform_machine == 'x86_64'" in tensorflow


def test_the_lock_of_the_scripts_names_no_registry() -> None:
    lock = (ROOT / "docs" / "package-lock.json").read_text()
    assert "resolved" not in lock
    assert "://" not in lock
    assert lock.count('"integrity"') == lock.count('"node_modules/')


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"version": "*", "hashes": ["sha256:0"]}, "thing is not pinned with =="),
        ({"version": "==1"}, "thing==1 has no hashes"),
    ],
)
def test_a_loose_entry_is_refused(entry: dict[str, Any], message: str, tmp_path: Path) -> None:
    bad = tmp_path / "Pipfile.lock"
    bad.write_text(json.dumps({"default": {"thing": entry}, "develop": {}}))
    result = run(sys.executable, ".ci/requirements.py", bad)
    assert result.returncode == 1
    assert message in result.stderr and "make lock" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_environment_is_the_lock(lock: dict[str, Any]) -> None:
    if not Path(sys.executable).is_relative_to(ROOT / ".venv"):
        pytest.skip(f"the tests run from {sys.executable}, not from .venv")
    installed = {canonicalize_name(d.metadata["Name"]): d.version for d in distributions()}
    accelerator = (ROOT / ".venv" / ".locked").read_text().strip() or "cpu"
    for line in requirements.requirements(lock, (), accelerator):
        needed = Requirement(line.split(" \\\n")[0])
        if not needed.marker or needed.marker.evaluate():
            assert str(needed.specifier) == f"=={installed.get(canonicalize_name(needed.name))}"


def test_every_package_runs_on_the_oldest_python_we_promise() -> None:
    for distribution in distributions():
        needs = SpecifierSet(str(distribution.metadata.json.get("requires_python", "")))
        assert needs.contains(OLDEST_PYTHON), f"{distribution.metadata['Name']} needs {needs}"


def test_cleaning_a_lock_removes_the_index_and_changes_nothing_twice() -> None:
    linux, other = "sys_platform == 'linux'", "sys_platform != 'linux'"
    pipfile = {"gpu": {"tensorflow": {"version": "==2", "extras": ["and-cuda"]}}}
    given = {
        "_meta": {"sources": [{"name": "pypi"}]},
        "default": {
            "keras": {"version": "==3", "markers": linux, "index": "pypi"},
            "tensorflow-cpu": {"version": "==2", "markers": linux},
            "tomli": {"version": "==1", "markers": "python_version < '3.12'"},
            "pywin32": {"version": "==1", "markers": "os_name == 'nt'"},
        },
        "develop": {},
        "gpu": {
            "tensorflow": {"version": "==2", "markers": other, "index": "pypi"},
            "nvidia-cudnn": {"version": "==9", "markers": "python_version >= '3'"},
        },
    }
    once = clean_lock.clean(given, pipfile)
    assert once["_meta"]["sources"] == []
    assert once["default"]["keras"] == {"version": "==3"}
    assert once["default"]["tensorflow-cpu"]["markers"] == linux
    assert once["default"]["tomli"] == {"version": "==1"}
    assert once["default"]["pywin32"]["markers"] == "os_name == 'nt'"
    assert once["gpu"]["tensorflow"] == {"version": "==2", "extras": ["and-cuda"]}
    assert once["gpu"]["nvidia-cudnn"] == {"version": "==9"}
    assert clean_lock.clean(json.loads(json.dumps(once)), pipfile) == once


def test_the_committed_lock_is_clean(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Pipfile", tmp_path)
    copy = shutil.copy(ROOT / "Pipfile.lock", tmp_path)
    assert run(sys.executable, ".ci/clean_lock.py", copy).returncode == 0
    assert Path(copy).read_bytes() == (ROOT / "Pipfile.lock").read_bytes()


def test_uv_is_given_what_pip_is_configured_with() -> None:
    listing = "\n".join(
        [
            ":env:.find-links='/a /b'",
            "global.find-links='/never'",
            "global.index-url='file:///index'",
            "install.extra-index-url='file:///more'",
            "global.cert='/pip.crt'",
            "global.color='on'",
        ]
    )
    environment = run_uv.uv_environment(run_uv.pip_options(listing), {"SSL_CERT_FILE": "/mine.crt"})
    assert environment == {
        "UV_FIND_LINKS": "/a,/b",
        "UV_DEFAULT_INDEX": "file:///index",
        "UV_INDEX": "file:///more",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "SSL_CERT_FILE": "/mine.crt",
    }


def installers(requirement: Path, target: Path) -> dict[str, list[str | Path]]:
    options: list[str | Path] = ["--require-hashes", "--no-deps", "-r", requirement]
    return {
        "pip": [sys.executable, "-m", "pip", "download", *options, "--dest", target],
        "uv": [
            sys.executable, ".ci/run_uv.py", "pip", "install", *options, "--no-cache",
            "--target", target,
        ],
    }  # fmt: skip


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_a_tampered_hash_is_refused(installer: str, lock: dict[str, Any], tmp_path: Path) -> None:
    honest, tampered = tmp_path / "honest.txt", tmp_path / "tampered.txt"
    (line,) = requirements.requirements(lock, [TINY])
    honest.write_text(line + "\n")
    tampered.write_text(re.sub(r"sha256:[0-9a-f]{8}", "sha256:00000000", line) + "\n")

    accepted = run(*installers(honest, tmp_path / "good")[installer])
    if accepted.returncode:
        pytest.skip(f"{installer} cannot fetch {TINY} here: {accepted.stderr.strip()[-300:]}")
    refused = run(*installers(tampered, tmp_path / "bad")[installer])
    assert refused.returncode != 0
    assert re.search(r"hash mismatch|do not match the hashes", refused.stderr, re.IGNORECASE)
    assert any((tmp_path / "good").iterdir())
    assert not (tmp_path / "bad").exists() or not list((tmp_path / "bad").glob(f"{TINY}*"))


def test_make_help_lists_every_target() -> None:
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    shown = run("make", "--no-print-directory").stdout  # help is the default goal
    assert re.findall(r"^  make ([\w-]+) +\S", shown, re.MULTILINE) == targets[1].split()
    groups = re.split(r"\n\n", shown.strip())
    headings = [group.splitlines()[0] for group in groups]
    assert headings[0] == "Start" and {"Train and look", "Serve", "Data", "Extend"} <= set(headings)
    assert not any(re.match(r" |make", heading) for heading in headings)
    lines = [line for group in groups for line in group.splitlines()[1:]]
    assert len({line.index(line.split(maxsplit=2)[2]) for line in lines}) == 1, "not aligned"
    needed = {"train", "test", "docs", "lint", "format", "mlflow", "lock", "clean"}
    assert needed <= set(targets[1].split())


def test_the_two_targets_of_tests_leave_none_out() -> None:
    lines = run(
        "make", "--dry-run", "--old-file", ".venv/.locked", "test", "test-all", "ARGS="
    ).stdout
    assert re.findall(r'-m pytest -m ("not slow"|\w+) ', lines) == ['"not slow"', "slow"]
    steps = re.findall(r"^step (\S+)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert steps[-2:] == ["test", "test-all"]


def test_a_test_that_needs_a_slow_part_is_marked_slow(request: pytest.FixtureRequest) -> None:
    fast = [item for item in request.session.items if not item.get_closest_marker("slow")]
    assert request.node in fast
    needed = {item.nodeid: SLOW & set(getattr(item, "fixturenames", ())) for item in fast}
    assert {name: parts for name, parts in needed.items() if parts} == {}


def test_another_python_is_refused_with_the_way_out(tmp_path: Path) -> None:
    for name in ("Makefile", "Pipfile.lock"):
        shutil.copy(ROOT / name, tmp_path)
    result = run("make", "setup", "PYTHON=/bin/false", cwd=tmp_path)
    assert result.returncode != 0
    assert "Python 3.11 is needed" in result.stderr and "PYTHON=/path/to" in result.stderr
    assert not (tmp_path / ".venv").exists()


def test_hooks_are_local_and_their_tools_are_locked() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"repo: (\S+)", text) == ["local"]
    tools = set(re.findall(r"entry: \.ci/venv (\S+)", text))
    assert len(re.findall(r"entry: ", text)) == len(re.findall(r"entry: \.ci/venv ", text))
    missing = {tool for tool in tools if not Path(sys.executable).with_name(tool).exists()}
    assert tools and not missing


def test_a_hook_without_environment_says_how_to_make_one(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "venv", tmp_path / ".ci")
    result = run(tmp_path / ".ci/venv", "ruff", cwd=tmp_path, VIRTUAL_ENV="", PATH="/usr/bin:/bin")
    assert result.returncode == 1
    assert "make setup" in result.stderr
