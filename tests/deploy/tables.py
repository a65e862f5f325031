"""What the tests of a table service share: a small model in a store of its own, and requests."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests
from sklearn.pipeline import Pipeline

from tests.common import configuration, new_store

DEPLOYMENT = "treesurvival/V1"
MODEL = "treesurvival-treesurvival"
LIMITS = {"MAX_BYTES": 2**18, "MAX_ROWS": 500, "MAX_READING": 3, "READ_SECONDS": 8}
JSON, CSV = {"Content-Type": "application/json"}, {"Content-Type": "text/csv"}
GOOD = {"Species": "Quercus alba", "Light_ISF": 0.1, "Core": 2017, "Soil": "Sterile", "EMF": 20.5}
"""A record of the model that the tests serve; EMF may be empty."""
HEADER = "Species,Light_ISF,Core,Soil\n"
LINE = "Quercus alba,0.1,2017,Sterile\n"


@dataclass(frozen=True)
class TrainedTable:
    """A pipeline as a training leaves it, in a store of its own, and rows it has not seen."""

    pipeline: Pipeline
    rows: pd.DataFrame
    run_id: str
    environment: dict[str, str]


def trained_table(tmp_path_factory: pytest.TempPathFactory) -> TrainedTable:
    """A forest on the generated table, published by the step of the training itself."""
    import mlflow

    from tests.train.tables import searched, split_sample
    from train.common.data.tables import features
    from train.common.export.tables import export

    config = configuration(
        "+pipeline=train_treesurvival",
        "model.estimator=extra_trees",
        f"dataset.features=[{','.join(GOOD)}]",
        "fit.candidates=1",
        "fit.folds=2",
        "fit.workers=1",
    )
    splits = split_sample(config)
    fitted = searched(splits, config)
    folder = tmp_path_factory.mktemp("registry")
    uri, before = new_store(folder), mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        experiment = mlflow.create_experiment("trees", f"file://{folder}/artifacts")
        with mlflow.start_run(experiment_id=experiment) as run:
            export(fitted, splits, config)
    finally:
        mlflow.set_tracking_uri(before)
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": uri,
        "BENTOML_HOME": str(tmp_path_factory.mktemp("bentoml")),
        "BENTOML_DO_NOT_TRACK": "true",
    }
    rows = features(splits, splits.test).reset_index(drop=True)
    return TrainedTable(fitted.model, rows, run.info.run_id, environment)


def post(service: str, **arguments: Any) -> requests.Response:
    return requests.post(f"{service}/predict", **arguments)


def probabilities(response: requests.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    return np.array(
        [list(each["probabilities"].values()) for each in response.json()["predictions"]]
    )


def body(text: str | bytes, kind: dict[str, str]) -> dict[str, Any]:
    return {"data": text.encode() if isinstance(text, str) else text, "headers": kind}
