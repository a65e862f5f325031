"""The commands that a report ends with: how to serve the model of its run."""

import re
from pathlib import Path

from conf.schema import Config, ImageTraining, TableTraining

ROOT = Path(__file__).resolve().parents[3]

REGISTERED = re.compile(r'^MODEL = "([^"]+)"', re.MULTILINE)


def serving(settings: Config, run: str) -> dict[str, str]:
    """What to do with the model of the training `run`, and the command; empty without a model.

    A command is empty where the sentence is all there is to say.
    """
    if not isinstance(settings, ImageTraining | TableTraining):
        return {}
    if isinstance(settings, ImageTraining) and settings.split.folds:
        return {
            "Folds judge the recipe, and their models are not registered. The same command with "
            "split.folds=null trains one to serve.": ""
        }
    name = f"{settings.model.name}-{settings.dataset.name}"
    deployment = deployed(name, settings.model.name)
    if deployment is None:
        return {
            f"No folder deploy/{settings.model.name}/V<N> serves {name} yet; CONTRIBUTING.md says "
            "what one holds.": ""
        }
    uri = f"runs:/{run}/serving"
    # Only a run whose environment says so may become champion without a reason.
    reason = "" if settings.env.promotion else ' FORCE="the reason, which is kept"'
    return {
        "Serve this very model at http://127.0.0.1:3000:": (
            f'make serve DEPLOYMENT={deployment} ARGS="--model-uri {uri}"'
        ),
        "Make it the champion, which is served from then on; the end of the run's log names the "
        "version:": f"make promote MODEL={name} VERSION=...{reason}",
    }


def deployed(registered: str, model: str) -> str | None:
    """The newest deployment of the `registered` model, such as `resnet50v2ft/V1`."""
    homes = sorted((ROOT / "deploy" / model).glob("V*/"), key=lambda home: int(home.name[1:]))
    for home in reversed(homes):
        found = REGISTERED.search((home / "common.py").read_text(encoding="utf-8"))
        if found and found[1] == registered:
            return f"{model}/{home.name}"
    return None
