"""Choose what is served: move the alias `champion` of a registered model.

    python deploy/promote.py --model efficientnetliteft-kvasir4 --version 3
    python deploy/promote.py --model ... --version 3 --force-because "demonstration for the course"

The alias moves only to a version that can be served and whose run may become champion: a run of
`env=production` whose `env.promotion` allows it and whose leak gate passed. `--force-because`
overrides the second condition. Tags of the version record who promoted it, when and why:
`promoted_by`, `promoted_at` and `promoted_because`.
"""

import argparse
import datetime
import getpass
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploy.importing.connection import NotServable, connect, run_command, unusable
from deploy.importing.registry import find

ALLOWED = "env.promotion of its run allows it"
"""The recorded reason of a promotion that is not forced."""


def promote(name: str, version: str, force_because: str | None = None) -> str:
    """Make `version` of `name` the champion; the text that says what it replaced.

    Raises `NotServable` unless the version is registered and servable and its run has finished, and
    unless the run may become champion or `force_because` gives a reason.
    """
    from mlflow.exceptions import MlflowException

    if force_because is not None and not force_because.strip():
        raise NotServable("the reason is empty: say why, it stays with the version")
    client = connect()
    known = {str(found.version): found for found in client.search_model_versions(f"name='{name}'")}
    if version not in known:
        registered = ", ".join(sorted(m.name for m in client.search_registered_models()))
        there = f"there is {', '.join(sorted(known, key=int))}" if known else "there is none"
        raise NotServable(
            f"{name} has no version {version!r}; {there} (registered: {registered or 'no model'})"
        )
    source = find(f"models:/{name}/{version}", name)
    # The run that logged the model, and the one that registered it, which may be another.
    for run_id in sorted({source.run_id, known[version].run_id or source.run_id}):
        run = client.get_run(run_id)
        if run.info.status != "FINISHED":
            raise NotServable(
                f"version {version} of {name} comes from run {run_id}, which is {run.info.status}: "
                "only a model of a finished run can be the champion"
            )
        if force_because is None and (reason := _not_allowed(run.data.tags)):
            raise NotServable(
                f"version {version} of {name} comes from run {run_id}, {reason}. Train it with "
                "env=production, or say why it is to be served all the same, which is logged: "
                f'make promote MODEL={name} VERSION={version} FORCE="reason"'
            )
    try:
        before = str(client.get_model_version_by_alias(name, "champion").version)
    except MlflowException:
        before = ""
    if before == version:
        return f"{name} version {version} is the champion already"
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    tags = {
        "promoted_by": f"{getpass.getuser()}@{socket.gethostname()}",
        "promoted_at": now,
        "promoted_because": ALLOWED
        if force_because is None
        else f"forced: {force_because.strip()}",
    }
    try:
        for key, value in tags.items():  # before the move, which is not to stand without a reason
            client.set_model_version_tag(name, version, key, value)
        client.set_registered_model_alias(name, "champion", version)
    except MlflowException as error:
        raise NotServable(unusable(error)) from None
    replaced = f"it replaces version {before}" if before else "there was none before"
    return f"{name} version {version} is the champion now; {replaced}"


def _not_allowed(tags: dict[str, str]) -> str:
    """Why a run with `tags` may not become champion; "" where it may."""
    if tags.get("env") == "development":
        return "which is one of env=development: small limits, no evidence"
    match tags.get("promotion"), tags.get("gate"):
        case "allowed", "failed":
            return "whose leak gate failed: the table gate of its report names the checks"
        case "allowed", "off":
            return "whose leak gate was off (gate.enabled=false)"
        case "allowed", _:
            return ""
        case None, _:
            return "which has no tag 'promotion': it does not say whether it may be served"
        case _:
            return "whose env.promotion was false"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Choose what is served.")
    parser.add_argument("--model", required=True, help="registered name")
    parser.add_argument("--version", required=True, help="number of the version")
    parser.add_argument(
        "--force-because", metavar="REASON", help="promote what may not be, and keep the reason"
    )
    given = parser.parse_args()
    run_command(lambda: print(promote(given.model, given.version, given.force_because)))


if __name__ == "__main__":
    main()
