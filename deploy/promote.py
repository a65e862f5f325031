"""Choose what is served: move the alias `champion` of a registered model.

    python deploy/promote.py --model efficientnetliteft-kvasir4 --version 3
    python deploy/promote.py --model ... --version 3 --force-because "demonstration for the course"
    python deploy/promote.py --model ... --rollback [--because "wrong answers on new scanners"]

The alias moves only to a version that can be served, whose run may become champion
(`env.promotion`), and which is shown, on the same test samples, to be worse than the champion by at
most `promotion.margin`. `--force-because` overrides the last two conditions. Tags of the version
record who promoted it, when, why, and the evidence.

This is the only file of `deploy` that imports training, where the rules are: a run of
`env.promotion=automatic` applies them too. It is a command of developers and travels in no Bento.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conf.errors import UserError
from deploy.importing.connection import NotServable, connect, run_command, unusable
from deploy.importing.registry import find


def promote(name: str, version: str, force_because: str | None = None) -> str:
    """Make `version` of `name` the champion; the text that says what it replaced, and why.

    Raises `NotServable` for a version that cannot be served, and for what
    `train.common.tracking.promotion` refuses.
    """
    from train.common.tracking import champions, promotion

    if version in champions.versions(name):
        find(f"models:/{name}/{version}", name)
    return promotion.promote(name, version, force_because)


def rollback(name: str, because: str) -> str:
    """Make the version champion that was it before. Raises `NotServable` if there is none."""
    from train.common.tracking import champions

    find(f"models:/{name}/{champions.previous(name)}", name)
    return champions.rollback(name, because)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Choose what is served.")
    parser.add_argument("--model", required=True, help="registered name")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--version", help="number of the version to promote")
    what.add_argument("--rollback", action="store_true", help="back to the champion before")
    parser.add_argument(
        "--force-because", metavar="REASON", help="promote what may not be, and keep the reason"
    )
    parser.add_argument("--because", metavar="REASON", default="", help="reason of a rollback")
    given = parser.parse_args()

    def command() -> None:
        from mlflow.exceptions import MlflowException

        connect()
        try:
            if given.rollback:
                print(rollback(given.model, given.because))
            else:
                print(promote(given.model, given.version, given.force_because))
        except UserError as error:
            raise NotServable(str(error)) from None
        except MlflowException as error:
            raise NotServable(unusable(error)) from None

    run_command(command)


if __name__ == "__main__":
    main()
