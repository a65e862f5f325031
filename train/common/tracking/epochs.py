"""Metrics of epochs, which a server that is away for a while does not lose."""

import logging
import time
from typing import Any

import mlflow
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException

from train.common.tracking.connection import impatient

log = logging.getLogger(__name__)

AT_ONCE = 1000
"""The largest number of metrics that MLflow takes in one request."""


class EpochMetrics:
    """The metrics of the epochs of one run, with the time at which each epoch ended."""

    def __init__(self) -> None:
        self._kept: list[Metric] = []
        """What the server has not taken yet."""

    def log(self, run: str, epoch: int, values: dict[str, Any]) -> None:
        """Log the numbers among `values` as metrics of `run` at the step `epoch`, 1-based.

        If the server does not answer, training goes on, and the next `log` or `send` tries again.
        """
        now = time.time_ns() // 10**6  # milliseconds
        numbers = {name: value for name, value in values.items() if isinstance(value, float)}
        self._kept += [Metric(name, value, now, epoch) for name, value in numbers.items()]
        try:
            with impatient():
                self.send(run)
        except MlflowException as error:
            log.warning(
                "the tracking server did not take the metrics of epoch %d (%s); "
                "they are kept until it does", epoch, error,
            )  # fmt: skip

    def send(self, run: str) -> None:
        """Send what is kept. Raises `MlflowException` after MLflow's own retries, 4 minutes."""
        client = mlflow.MlflowClient()
        while some := self._kept[:AT_ONCE]:
            client.log_batch(run, metrics=some)
            del self._kept[: len(some)]
