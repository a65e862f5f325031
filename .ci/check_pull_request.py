"""Check a pull request against the house rules that a diff shows; standard library only.

    BODY=... python .ci/check_pull_request.py --base origin/main --author ana --director berta

Exit status 1 and a line for each rule that is broken:

- only the director of development changes `Pipfile` and `Pipfile.lock`
- the description explains what changes, and why
- a change of a model or a training names the MLflow run that shows what it does
- the documentation of a model that changes has an entry under `Changes`, unless the model is new
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys

LOCKED = ("Pipfile", "Pipfile.lock")
MODEL = re.compile(r"models/(?!common|tables|quantization)(\w+)/model\.py$")
SHOWN = re.compile(
    r"(models/\w+/model\.py|train/[\w-]+_v\d+/.+\.py|conf/(model|pipeline)/.+\.yaml)$"
)
RUN = re.compile(r"\b[0-9a-f]{32}\b")
"""The id of a run in MLflow; a link to a run holds it too."""
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
WHY = re.compile(r"^## What changes, and why$(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)


def git(*arguments: str) -> str:
    """What git prints. Raises `CalledProcessError`."""
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


def broken(base: str, author: str, director: str, body: str) -> list[str]:
    """A sentence for each rule that the commits since `base` break."""
    lines = git("diff", "--name-status", "--no-renames", f"{base}...HEAD").splitlines()
    status = {path: kind for kind, _, path in (line.partition("\t") for line in lines)}
    body, found = COMMENT.sub("", body), []
    if author != director and (touched := [name for name in LOCKED if name in status]):
        found.append(
            f"{' and '.join(touched)}: only the director of development ({director or 'unset'}) "
            "changes them; open an issue that names the package and says what for"
        )
    if not (why := WHY.search(body)) or not why[1].strip():
        found.append("the description has nothing below '## What changes, and why'")
    shown = sorted(path for path in status if SHOWN.match(path))
    if shown and not RUN.search(body):
        found.append(
            f"{', '.join(shown)}: name the MLflow run that shows the change, by id or link, "
            "below '## Evidence'"
        )
    for path in sorted(status):
        documented = path.removesuffix("model.py") + "__init__.py"
        if MODEL.match(path) and status[path] == "M" and documented not in status:
            found.append(f"{path} changes, and {documented} has no new entry under 'Changes'")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", required=True, help="the revision to merge into")
    parser.add_argument("--author", required=True)
    parser.add_argument("--director", default="", help="who may change the dependencies")
    given = parser.parse_args()
    problems = broken(given.base, given.author, given.director, os.environ.get("BODY", ""))
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(bool(problems))
