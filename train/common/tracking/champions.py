"""The champions of a registered model: the alias, and the history of the versions that had it.

Tags of a version say how it became champion: `promoted_how` (`evidence`, `first`, `forced` or
`rollback`), `promoted_by`, `promoted_at`, `promoted_because`, and `evidence`, JSON. One that was
left by a rollback has `rolled_back_by`, `rolled_back_at` and `rolled_back_because`. The tag
`champions` of the registered model lists the versions that were champion, the last one last.
"""

import datetime
import getpass
import socket
from typing import Any

import mlflow

from conf.errors import UserError
from train.common.evaluation.evidence import Evidence
from train.common.tracking.load import version_with

HISTORY = "champions"
"""Tag of the registered model: versions that were champion, oldest first, separated by spaces."""
LONGEST = 100
"""Number of versions that the history keeps."""
NOT_PROMOTED = "not_promoted_because"
"""Tag of a version that its training could not promote."""
STALE = (NOT_PROMOTED, "rolled_back_by", "rolled_back_at", "rolled_back_because")
"""Tags that no longer hold once a version becomes champion."""


def champion(name: str) -> str:
    """The version of `name` with the alias `champion`; "" if there is none."""
    return version_with(name, "champion")


def versions(name: str) -> dict[str, str]:
    """The run that registered each version of `name`, by version."""
    found = mlflow.MlflowClient().search_model_versions(f"name='{name}'")
    return {str(each.version): each.run_id or "" for each in found}


def previous(name: str) -> str:
    """The version of `name` that was champion before. Raises `UserError` if none is known."""
    current = champion(name)
    if not current:
        raise UserError(
            f"{name} has no champion, so there is nothing to go back from: choose one "
            f"(make promote MODEL={name} VERSION=...)"
        )
    known = versions(name)
    earlier = [each for each in _history(name, current) if each != current]
    if not earlier:
        raise UserError(
            f"version {current} of {name} is the first champion that is known: choose another one "
            f"(make promote MODEL={name} VERSION=...; there is "
            f"{', '.join(sorted(known, key=int))})"
        )
    return earlier[-1]


def rollback(name: str, because: str = "") -> str:
    """Make the version champion that was it before; the text that says so.

    The version that is left keeps the tags `rolled_back_by`, `..._at` and `..._because`. Raises
    `UserError` if no earlier champion is known.
    """
    current, earlier = champion(name), previous(name)
    client, reason = mlflow.MlflowClient(), because.strip() or "no reason given"
    for key, value in _act("rolled_back", reason).items():
        client.set_model_version_tag(name, current, key, value)
    told = f"rolled back from version {current}: {reason}"
    move(name, earlier, "rollback", told)
    return f"{name} version {earlier} is the champion again; {told}"


def move(name: str, version: str, how: str, because: str, evidence: Evidence | None = None) -> None:
    """Move the alias to `version`; its reason is stored before, because it must not stand alone."""
    client, before = mlflow.MlflowClient(), champion(name)
    tags = {"promoted_how": how} | _act("promoted", because)
    if evidence is not None:
        tags["evidence"] = evidence.json()
    stale = set(STALE) if how == "rollback" else {*STALE, "evidence"}
    for key in client.get_model_version(name, version).tags.keys() & stale:
        client.delete_model_version_tag(name, version, key)
    for key, value in tags.items():
        client.set_model_version_tag(name, version, key, value)
    history = _history(name, before)
    history = history[:-1] if how == "rollback" else history
    if history[-1:] != [version]:
        history.append(version)
    client.set_registered_model_alias(name, "champion", version)
    client.set_registered_model_tag(name, HISTORY, " ".join(history[-LONGEST:]))


def _act(what: str, because: str) -> dict[str, str]:
    """The tags of an act: by whom, when and why."""
    return {
        f"{what}_by": f"{getpass.getuser()}@{socket.gethostname()}",
        f"{what}_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        f"{what}_because": because,
    }


def _history(name: str, current: str) -> list[str]:
    """The versions of `name` that were champion, oldest first; the last one is `current`."""
    model: Any = mlflow.MlflowClient().get_registered_model(name)
    known = versions(name)
    found = [each for each in str(model.tags.get(HISTORY, "")).split() if each in known]
    return found if not current or found[-1:] == [current] else [*found, current]
