"""Choose what is served: move the alias `champion` of a registered model.

    python deploy/promote.py --model resnet50v2ft-kvasir4 --version 3

Nothing is moved before the version is known to be servable.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploy.serving.importing import NotServable, connect, find, run_command


def promote(name: str, version: str) -> str:
    """Make `version` of `name` the champion; says what it replaced.

    Raises `NotServable` unless the version is registered, servable, and its run has finished.
    """
    from mlflow.exceptions import MlflowException

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
    for run in {source.run_id, known[version].run_id or source.run_id}:
        if (status := client.get_run(run).info.status) != "FINISHED":
            raise NotServable(
                f"version {version} of {name} comes from run {run}, which is {status}: only a "
                "model of a finished run can be the champion"
            )
    try:
        before = str(client.get_model_version_by_alias(name, "champion").version)
    except MlflowException:
        before = ""
    if before == version:
        return f"{name} version {version} is the champion already"
    client.set_registered_model_alias(name, "champion", version)
    replaced = f"it replaces version {before}" if before else "there was none before"
    return f"{name} version {version} is the champion now; {replaced}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Choose what is served.")
    parser.add_argument("--model", required=True, help="registered name")
    parser.add_argument("--version", required=True, help="number of the version")
    given = parser.parse_args()
    run_command(lambda: print(promote(given.model, given.version)))


if __name__ == "__main__":
    main()
