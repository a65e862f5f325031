"""The workflows of GitHub: pinned, with few rights; and the check of pull requests."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.common import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CHECK = ROOT / ".ci" / "check_pull_request.py"
PINNED = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40}")
WHY = "## What changes, and why\n\nThe head is wider.\n\n## Evidence\n\n"
RUN = "0123456789abcdef" * 2


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_pinned_and_may_only_read(workflow: Path) -> None:
    assert yaml.safe_load(workflow.read_text())["permissions"] == {"contents": "read"}
    for step in steps(workflow):
        if action := step.get("uses"):
            assert PINNED.fullmatch(action), action
            if action.startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_calls_what_can_be_called_here_and_puts_no_text_of_strangers_into_a_shell(
    workflow: Path,
) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command in filter(None, (step.get("run") for step in steps(workflow))):
        assert "${{" not in command, command
        words = command.split()
        assert words[:2] == ["python3", ".ci/check_pull_request.py"] or (
            words[0] == "make" and set(words[1:]) <= targets
        ), command


class Branch:
    """A repository with a model on `main`, and a branch of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "-q", "-b", "main")
        self.write("models/net/model.py", "models/net/__init__.py", "Pipfile", "README.md")
        self.git("switch", "-q", "-c", "net")

    def git(self, *arguments: str) -> None:
        names = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", *names, *arguments], cwd=self.root, check=True, capture_output=True)

    def write(self, *paths: str) -> None:
        for path in paths:
            file = self.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(file.read_text() + "more\n" if file.exists() else "first\n")
        self.git("add", ".")
        self.git("commit", "-q", "-m", "change")

    def check(self, body: str, author: str = "ana") -> str:
        """What the check says; empty if it passes."""
        who = ["--author", author, "--director", "berta"]
        done = subprocess.run(
            [sys.executable, str(CHECK), "--base", "main", *who],
            cwd=self.root, env={"BODY": body, "PATH": "/usr/bin:/bin"},
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == bool(done.stderr), done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done.stderr


@pytest.fixture
def branch(tmp_path: Path) -> Branch:
    return Branch(tmp_path)


def test_a_change_of_the_readme_needs_a_reason_and_no_run(branch: Branch) -> None:
    branch.write("README.md")
    assert branch.check(WHY) == ""
    template = (ROOT / ".github" / "pull_request_template.md").read_text()
    assert "has nothing below '## What changes, and why'" in branch.check(template)
    assert "has nothing below" in branch.check("")


def test_only_the_director_changes_the_dependencies(branch: Branch) -> None:
    branch.write("Pipfile")
    assert "Pipfile: only the director of development (berta)" in branch.check(WHY)
    assert branch.check(WHY, author="berta") == ""


def test_a_change_of_a_model_needs_a_run_and_an_entry_in_its_documentation(branch: Branch) -> None:
    branch.write("models/net/model.py")
    said = branch.check(WHY)
    assert "models/net/model.py: name the MLflow run that shows the change" in said
    assert "models/net/__init__.py has no new entry under 'Changes'" in said
    branch.write("models/net/__init__.py")
    assert branch.check(f"{WHY} https://mlflow.example.org/#/experiments/1/runs/{RUN}") == ""


@pytest.mark.parametrize(
    "path", ["train/net-set_v1/steps/train.py", "conf/pipeline/train_net.yaml"]
)
def test_a_change_of_a_training_needs_a_run(path: str, branch: Branch) -> None:
    branch.write(path)
    assert f"{path}: name the MLflow run" in branch.check(WHY)
    assert branch.check(WHY + RUN) == ""


def test_what_main_did_meanwhile_is_not_the_branch_s(branch: Branch) -> None:
    branch.write("README.md")
    branch.git("switch", "-q", "main")
    branch.write("Pipfile")
    branch.git("switch", "-q", "net")
    assert branch.check(WHY) == ""
