"""Serve a deployment on this machine: import its champion, then start BentoML.

    python deploy/serve.py [--deployment efficientnetliteft/V1] [--port 3000] [--host 127.0.0.1]

Without a champion it serves the newest challenger, and says so.
"""

import argparse
import importlib
import os
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploy.importing.connection import NotServable, run_command
from deploy.importing.registry import champion_or_newest, find
from deploy.importing.store import import_model
from deploy.serving.http.access import Rules
from deploy.serving.http.limits import STOP_SECONDS, Limits

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
DEFAULT = "efficientnetliteft/V1"


def find_deployment(deployment: str) -> tuple[str, str]:
    """Package and registered model of a deployment, `<model>/V<N>`. Raises `NotServable`."""
    if not (DEPLOY / deployment / "service.py").is_file():
        known = ", ".join(
            sorted(str(p.parent.relative_to(DEPLOY)) for p in DEPLOY.glob("*/V*/service.py"))
        )
        raise NotServable(f"there is no deployment {deployment!r}; there is {known}")
    package = "deploy." + deployment.strip("/").replace("/", ".")
    return package, importlib.import_module(f"{package}.common").MODEL


def serve(deployment: str, host: str, port: int, model_uri: str) -> None:
    """Import the model and become the server; does not return."""
    package, name = find_deployment(deployment)
    _check_free(host, port)
    _check_environment()
    if model_uri:
        source, kind = find(model_uri, name), model_uri
    else:
        source, kind = champion_or_newest(name)
    tag = import_model(source, name).tag
    print(f"{source.name} version {source.version} ({kind}), run {source.run_id}, as {tag}")
    print(f"http://{host}:{port} (Ctrl-C stops it)", flush=True)
    arguments = ["serve", f"{package}.service", "--working-dir", str(ROOT)]
    arguments += ["--timeout-graceful-shutdown", str(STOP_SECONDS)]
    command = [sys.executable, "-m", "bentoml", *arguments, "--host", host, "--port", str(port)]
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")
    os.execv(sys.executable, command)


def _check_environment() -> None:
    """Name a variable that the service would not start with, before the model is imported."""
    try:
        Rules.from_environment()
        Limits.from_environment()
    except ValueError as error:
        raise NotServable(str(error)) from None


def _check_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise NotServable(
                f"port {port} of {host} cannot be used ({error.strerror}); another one: "
                f"make serve PORT={port + 1}"
            ) from None


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Serve a deployment on this machine.")
    parser.add_argument("--deployment", default=DEFAULT, help="<model>/V<N>")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 serves the whole network")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--model-uri", default="", help="runs:/... or models:/...")
    given = parser.parse_args()
    run_command(lambda: serve(given.deployment, given.host, given.port, given.model_uri))


if __name__ == "__main__":
    main()
