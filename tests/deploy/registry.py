"""A registry of MLflow with versions whose runs logged predictions, as trainings leave them."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from datasets.common.images import READER
from tests.common import ROOT, log_smallest
from tests.deploy.common import CARD
from train.common.tracking.cards import log_card

MODEL = "resnet50v2ft-kvasir4"
CLASSES = ("a", "b")
SAMPLES = 400
"""Test samples of each run, two of each near-duplicate cluster."""
PRODUCTION = {"env": "production", "promotion": "allowed", "data_digest": "d" * 64}
SETTINGS = {"seed": 0, "metrics": {"bootstrap": 200, "confidence": 0.95}}


def predicted(wrong: int, first: int = 0, classes: tuple[str, ...] = CLASSES) -> pd.DataFrame:
    """Predictions of `SAMPLES` images, the `wrong` ones from the image number `first` on."""
    labels = np.arange(SAMPLES) % 2
    answers = labels.copy()
    answers[first : first + wrong] = 1 - answers[first : first + wrong]
    named = np.array(CLASSES)
    columns = {name: np.where(named[answers] == name, 0.8, 0.2) for name in classes}
    return pd.DataFrame(columns).assign(
        file=[f"{number}.png" for number in range(SAMPLES)],
        label=named[labels],
        answer=named[answers],
    )


def splits() -> pd.DataFrame:
    """Which cluster each image is in; all of them are in test."""
    frame = predicted(0)[["file"]]
    return frame.assign(label=0, cluster=np.arange(SAMPLES) // 2, group="", split="test")


def add_version(
    address: str,
    name: str,
    folder: Path,
    tags: Mapping[str, str] = PRODUCTION,
    predictions: pd.DataFrame | None = None,
    classes: tuple[str, ...] = CLASSES,
    card: str | None = CARD,
    **settings: Any,
) -> str:
    """Register the smallest model as a version of `name` with its `predictions`; the version."""
    import mlflow

    client = mlflow.MlflowClient(address)
    facts = {"classes": list(classes), "image_size": 32, "reader": READER}
    run = log_smallest(address, folder, metadata=facts)
    for key, value in tags.items():
        client.set_tag(run, key, value)
    if card is not None:
        with looked_up_at(address), mlflow.start_run(run):
            log_card(card)
    if predictions is not None:
        right = float((predictions["label"] == predictions["answer"]).mean())
        for end, off in (("", 0.0), ("_low", -0.02), ("_high", 0.02)):
            client.log_metric(run, f"test_accuracy{end}", right + off)
        client.log_text(run, predictions.to_csv(index=False), "tables/predictions.csv")
        client.log_text(run, splits().to_csv(index=False), "data/splits.csv")
        client.log_text(run, yaml.safe_dump(SETTINGS | settings), "config.yaml")
    [logged] = client.search_logged_models([client.get_run(run).info.experiment_id])
    with looked_up_at(address):
        if not client.search_registered_models(f"name='{name}'"):
            client.create_registered_model(name)
        made = client.create_model_version(name, logged.model_uri, run, model_id=logged.model_id)
    return str(made.version)


def make(uri: str, target: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The finished `make <target>` for `MODEL`; it leaves the environment as it is."""
    return subprocess.run(
        ["make", "-o", ".venv/.locked", target, f"MODEL={MODEL}", *arguments],
        cwd=ROOT,
        env=os.environ | {"MLFLOW_TRACKING_URI": uri},
        capture_output=True,
        text=True,
    )


def champion(address: str, name: str = MODEL) -> tuple[str, dict[str, str]]:
    """The champion's version and tags; ("", {}) without one."""
    import mlflow

    client = mlflow.MlflowClient(address)
    found = client.get_registered_model(name).aliases.get("champion")
    return (str(found), client.get_model_version(name, found).tags) if found else ("", {})


@contextmanager
def looked_up_at(address: str) -> Iterator[None]:
    """MLflow looks the model of a new version up where the process tracks, whatever client asks."""
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(address)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


def tags(address: str, version: str, name: str = MODEL) -> dict[str, str]:
    """The tags of a version."""
    import mlflow

    return dict(mlflow.MlflowClient(address).get_model_version(name, version).tags)
