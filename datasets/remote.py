"""Raw data to and from a DVC remote.

python -m datasets.remote push|pull [--remote NAME]

The default remote stands in .dvc/config. Settings of one machine, and every secret, belong in
.dvc/config.local, which git ignores: `dvc remote add --local`, `dvc remote modify --local`.
"""

import argparse
import sys
from pathlib import Path

from conf.errors import UserError

ROOT = Path(__file__).resolve().parents[1]

WAYS_OUT = {
    "s3": "is the address right, and are there credentials (AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, or dvc remote modify --local {name} profile <profile>)?",
    "gdrive": "is the key of the service account there (dvc remote modify --local {name} "
    "gdrive_service_account_json_file_path <file>), and is the folder shared with the account?",
}
"""What to check when a remote of this scheme fails."""
WAY_OUT = "is it there, and may you write to it? dvc remote modify --local {name} url <address>"


def transfer(action: str, name: str = "", root: Path = ROOT) -> None:
    """`dvc push` or `dvc pull` of all that DVC tracks in `root`, with the remote `name`.

    Without a name it is the default remote. Raises `UserError` when `root` is not under DVC, the
    remote is not configured, or DVC fails; DVC has then printed the reason.
    """
    from dvc.cli import main as dvc
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            remotes, default = repo.config["remote"], repo.config["core"].get("remote", "")
    except NotDvcRepoError:
        raise UserError(
            f"{root} is not under DVC: git clone the project, or run `git init` and "
            "`dvc init` in it"
        ) from None
    name = name or default
    if name not in remotes:
        what = f"there is no remote '{name}'" if name else "no remote is the default"
        raise UserError(
            f"{what}; choices: {', '.join(remotes) or 'none yet'}. Add one: "
            "dvc remote add --local <name> s3://<bucket>/<folder> (see CONTRIBUTING.md, Data)"
        )
    if dvc(["--cd", str(root), action, "--remote", name]):
        address = remotes[name]["url"]
        way_out = WAYS_OUT.get(address.partition("://")[0], WAY_OUT).format(name=name)
        raise UserError(f"{action}: remote '{name}' ({address}) failed, see above; {way_out}")


def main() -> None:
    """The command line; exits with status 1 and a message on `UserError`."""
    parser = argparse.ArgumentParser(description="Raw data to and from a remote of DVC.")
    parser.add_argument("action", choices=["push", "pull"])
    parser.add_argument("--remote", default="", help="its name; without it the default one")
    given = parser.parse_args()
    try:
        transfer(given.action, given.remote)
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
