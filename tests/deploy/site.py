"""A checkout, an environment and an AWS of our own, in which the tests of ecr.sh run it.

Only docker and podman are played by a few lines of shell that note how they were called.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from tests.common import ROOT, new_store

SCRIPT = "deploy/resnet50v2ft/V1/ecr.sh"
ACCOUNT, REGION = "123456789012", "eu-west-1"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
BACKEND = """#!/bin/sh
[ ! -e "$PLAYED/$1-fails" ] || { echo "$1 is refused" >&2; exit 7; }
[ "$1" != info ] || exit 0
[ "$1" != login ] || grep -q . || exit 9
echo "$(basename "$0") $*" >> "$PLAYED/calls"
[ "$1" != build ] || for context; do :; done
[ "$1" != build ] || cp -r "$context" "$PLAYED/context"
"""
"""It fails at the commands for which there is a file, and at a login without a password.

At a build it keeps the folder that the image would be built from.
"""
NO_KEYS = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}


@dataclass(frozen=True)
class Site:
    """A checkout with one commit, and the environment that ecr.sh runs in."""

    root: Path
    played: Path
    environment: dict[str, str]

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """SCRIPT with `arguments`, from any folder."""
        return self.type(["bash", str(self.root / SCRIPT), *arguments], "/", **variables)

    def type(
        self, command: list[str], folder: Path | str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=folder,
            env=self.environment | variables,
            capture_output=True,
            text=True,
        )

    def calls(self) -> list[str]:
        path = self.played / "calls"
        return path.read_text().splitlines() if path.exists() else []


def committed(root: Path) -> Path:
    """The deployments as they stand, committed in a repository of their own."""
    for folder in ("deploy", "datasets"):
        compiled = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, root / folder, ignore=compiled)
    (root / ".gitignore").write_text("__pycache__/\n")
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "all"],
    ):
        subprocess.run(["git", *command], cwd=root, check=True)
    return root


def new_site(aws: str, checkout: Path, folder: Path) -> Site:
    """A site with its programs and stores in `folder`, which calls the AWS at the address `aws`."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("docker", "podman"):
        (programs / name).write_text(BACKEND)
        (programs / name).chmod(0o755)
    played = folder / "played"
    played.mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "BENTOML_"))}
    environment = kept | {
        "PATH": f"{programs}:{Path(sys.executable).parent}:/usr/bin:/bin",
        "PLAYED": str(played),
        "HOME": str(folder),
        "BENTOML_HOME": str(folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "true",
        "MLFLOW_TRACKING_URI": new_store(folder),
        "AWS_ENDPOINT_URL": aws,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",  # pragma: allowlist secret
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }
    (folder / "bentoml").mkdir()
    return Site(checkout, played, environment)


def repositories(site: Site) -> dict[str, dict[str, Any]]:
    """The repositories in ECR, by name."""
    client = boto3.client(
        "ecr",
        REGION,
        endpoint_url=site.environment["AWS_ENDPOINT_URL"],
        aws_access_key_id="testing",
        aws_secret_access_key="testing",  # pragma: allowlist secret
    )
    return {
        found["repositoryName"]: dict(found)
        for found in client.describe_repositories()["repositories"]
    }


def revision(site: Site) -> str:
    """The revision that is checked out."""
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.check_output(command, cwd=site.root, text=True).strip()
