"""The back ends of a group's tracking server, as real processes: PostgreSQL, and S3 by moto."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import boto3
import pytest

from tests.servers import free_port, moto

BUCKET = "mlflow"
S3_ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",  # pragma: allowlist secret
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def postgresql() -> Iterator[str]:
    """The address of an empty database; the test is skipped where PostgreSQL is not installed.

    PostgreSQL refuses to run as root: then it runs as Debian's user `postgres`, in a folder of its
    own, because pytest closes its folders to others.
    """
    found = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")))
    if not (pg_ctl := next(iter(found), None) or shutil.which("pg_ctl")):
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    programs = Path(pg_ctl).parent
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with TemporaryDirectory() as folder:
        if user:
            shutil.chown(folder, "postgres")
        yield from _database(programs, folder, user)


def _database(programs: Path, folder: str, user: list[str]) -> Iterator[str]:
    port = free_port()
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"

    def run(program: str, *arguments: str) -> None:
        command = [*user, str(programs / program), *arguments]
        subprocess.run(command, cwd="/", check=True, stdout=subprocess.DEVNULL)

    data = f"{folder}/data"
    run("initdb", "--pgdata", data, "--auth=trust", "--username=mlflow", "--no-sync")
    run(
        "pg_ctl",
        "start",
        "--wait",
        "--pgdata",
        data,
        "--log",
        f"{folder}/log",
        "--options",
        options,
    )
    try:
        run("createdb", "--host=127.0.0.1", f"--port={port}", "--username=mlflow", "mlflow")
        yield f"postgresql+psycopg2://mlflow@127.0.0.1:{port}/mlflow"
    finally:
        run("pg_ctl", "stop", "--wait", "--pgdata", data, "--mode=fast")


@contextmanager
def s3(folder: Path) -> Iterator[str]:
    """The address of an S3 service with the empty bucket `BUCKET`."""
    with moto(folder) as address:
        client(address).create_bucket(Bucket=BUCKET)
        yield address


def client(address: str) -> "boto3.client":
    """A client of the S3 service at `address`."""
    return boto3.client(
        "s3",
        endpoint_url=address,
        aws_access_key_id=S3_ACCOUNT["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=S3_ACCOUNT["AWS_SECRET_ACCESS_KEY"],
        region_name=S3_ACCOUNT["AWS_DEFAULT_REGION"],
    )
