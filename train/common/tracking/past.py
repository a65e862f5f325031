"""A finished training, and a store for its repetition, as `make reproduce` needs them."""

from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from conf.errors import UserError
from train.common.tracking.load import finished_run


@dataclass(frozen=True)
class Past:
    """A finished training."""

    run_id: str
    experiment: str
    tags: dict[str, str]
    metrics: dict[str, float]
    fold: int | None
    """The fold of a cross-validation that the run trained, or None."""


def past(run_id: str, uri: str) -> Past:
    """The finished training `run_id` on the server `uri`. Raises `UserError` if there is none."""
    try:
        mlflow.set_tracking_uri(uri)
        tags = finished_run(run_id).tags
        run = mlflow.MlflowClient().get_run(run_id)
        name = mlflow.get_experiment(run.info.experiment_id).name
    except (MlflowException, OSError) as error:
        raise UserError(
            f"the tracking server {uri} cannot be used ({error}): name it by the environment "
            "variable MLFLOW_TRACKING_URI"
        ) from None
    fold = run.data.params.get("split.fold", "None")
    return Past(run_id, name, tags, run.data.metrics, None if fold == "None" else int(fold))


def new_store(folder: Path, experiment: str) -> str:
    """The URI of an empty store in `folder`, where the artifacts of `experiment` are too."""
    uri = f"sqlite:///{folder}/mlflow.db"
    client = mlflow.MlflowClient(uri, uri)
    client.create_experiment(experiment, artifact_location=(folder / "artifacts").as_uri())
    return uri
