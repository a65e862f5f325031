"""The trials of a sweep in MLflow: runs that are children of the run of the sweep."""

from collections.abc import Callable
from typing import Any

import mlflow
import pandas as pd

from conf.schema import Config, ImageTraining
from train.common.tracking.connection import runs_of, sweeps
from train.common.tracking.files import log_table
from train.common.tracking.provenance import settings_digest

Watch = Callable[[str, int, dict[str, Any]], None]
"""Hears of each finished epoch of a trial: id of the run, number of the epoch (1-based), metrics.
"""
VALIDATION = "tables/validation.csv"
"""The predictions of validation images that a trial logs."""
PARENT = "mlflow.parentRunId"


class Pruned(Exception):  # noqa: N818 -- no error: Optuna's word for a trial that is not worth it
    """Ends a trial that is worse than the others; its run is `FINISHED`."""


def report_file(settings: Config) -> str:
    """Name of the report in the output folder, where the best run of a sweep has one too."""
    return "sweep.html" if sweeps(settings) else "report.html"


def log_trial(scalars: dict[str, float], table: pd.DataFrame) -> None:
    """Log the metrics of a trial at its best epoch, and its predictions of validation images."""
    mlflow.log_metrics(scalars)
    log_table(table, VALIDATION)


def log_best(trial: int, runs: list[str]) -> None:
    """Tag the run of a sweep with the number of its best trial, and the runs of that trial."""
    mlflow.set_tags({"best_trial": str(trial), "best_runs": " ".join(runs)})


def adopt(settings: ImageTraining, earlier: str, parent: str) -> None:
    """Make the trials of the killed run `earlier` children of the run `parent`."""
    client = mlflow.MlflowClient()
    for child in runs_of(settings, f"tags.`{PARENT}` = '{earlier}'"):
        client.set_tag(child.info.run_id, PARENT, parent)


def evaluated(settings: ImageTraining, data_digest: str) -> str:
    """The finished run of exactly these `settings` on these data; "" if there is none."""
    runs = runs_of(
        settings,
        f"attributes.status = 'FINISHED' and tags.settings_digest = '{settings_digest(settings)}' "
        f"and tags.data_digest = '{data_digest}' and params.`split.fold` = '{settings.split.fold}'",
    )
    return str(runs[0].info.run_id) if runs else ""
