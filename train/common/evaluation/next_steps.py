"""The commands at the end of a report, which serve the model of its run."""

import re
from pathlib import Path

from conf.schema import Config, ImageTraining, Promotion, TableTraining

ROOT = Path(__file__).resolve().parents[3]

REGISTERED = re.compile(r'^MODEL = "([^"]+)"', re.MULTILINE)


def serving(settings: Config, run: str) -> dict[str, str]:
    """What to do with the model of the training `run`, and the command; empty without a model.

    A command is empty if the sentence needs none.
    """
    if not isinstance(settings, ImageTraining | TableTraining):
        return {}
    if isinstance(settings, ImageTraining) and settings.sweep:
        return {}
    if isinstance(settings, ImageTraining) and settings.split.folds and not _ensemble(settings):
        return {
            "The models of folds evaluate the recipe, and are not registered. The same command "
            "with split.folds=null trains a model to serve, with publish.ensemble=true all folds "
            "as one model.": ""
        }
    name = f"{settings.model.name}-{settings.dataset.name}"
    deployment = deployed(name, settings.model.name)
    if deployment is None:
        return {
            f"No folder deploy/{settings.model.name}/V<N> serves {name} yet; CONTRIBUTING.md "
            "lists its files.": ""
        }
    uri = f"runs:/{run}/serving"
    # Without a reason, only runs whose env.promotion allows it may become champion.
    refused = settings.env.promotion is Promotion.refused
    reason = ' FORCE="the reason, which is kept"' if refused else ""
    return {
        "Serve this model at http://127.0.0.1:3000:": (
            f'make serve DEPLOYMENT={deployment} ARGS="--model-uri {uri}"'
        ),
        "Make it the champion, which services use by default; the end of the run's log names the "
        "version:": f"make promote MODEL={name} VERSION=...{reason}",
    }


def _ensemble(settings: ImageTraining) -> bool:
    """Whether this run registers the networks of all folds as one model."""
    return settings.publish.ensemble and settings.split.fold is None


def deployed(registered: str, model: str) -> str | None:
    """The newest deployment of the `registered` model, such as `resnet50v2ft/V1`."""
    homes = sorted((ROOT / "deploy" / model).glob("V*/"), key=lambda home: int(home.name[1:]))
    for home in reversed(homes):
        found = REGISTERED.search((home / "common.py").read_text(encoding="utf-8"))
        if found and found[1] == registered:
            return f"{model}/{home.name}"
    return None
