"""Counters and gauges for Prometheus."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any


class Metrics:
    """Counters of /predict: requests, time, refusals, predictions by class, abstentions.

    `reasons` are those for which the model may abstain.
    """

    def __init__(self, classes: Sequence[str], reasons: Sequence[str]) -> None:
        # Imported only now: BentoML names the folder that workers share after it imports services.
        from prometheus_client import Counter, Histogram

        self.requests = Counter("sonda_requests_total", "Requests to /predict.", ["status"])
        self.seconds = Histogram("sonda_request_seconds", "Duration of requests to /predict.")
        self.rejections = Counter("sonda_rejections_total", "Requests refused.", ["reason"])
        self.predictions = Counter(
            "sonda_predictions_total", "Images or rows by predicted class.", ["label"]
        )
        self.abstentions = Counter(
            "sonda_abstentions_total", "Images for which the model abstained.", ["reason"]
        )
        for label in classes:
            self.predictions.labels(label)  # so that a class without predictions shows as 0
        for reason in reasons:
            self.abstentions.labels(reason)


class DriftGauges:
    """The gauges of drift, computed when they are asked for; those not known yet are left out."""

    def __init__(self, report: Callable[[], dict[str, Any]]) -> None:
        self._report = report

    def describe(self) -> list[Any]:
        """Nothing: the registry would compute them to learn their names."""
        return []

    def collect(self) -> Iterator[Any]:
        """The gauges of `/drift`; none for a model that has no profile."""
        from prometheus_client.core import GaugeMetricFamily as Gauge

        found = self._report()
        if found["validation"] is None:
            return
        yield Gauge("sonda_drift_window", "Predictions compared.", found["window"])
        if found["alarm"] is None:
            return
        yield Gauge("sonda_drift_alarm", "1 if there is an alarm, else 0.", found["alarm"])
        yield Gauge("sonda_drift_p_value", "Of no drift, by permutation.", found["p_value"])
        indices = Gauge("sonda_drift_psi", "Population stability index.", labels=["quantity"])
        for name, each in found["quantities"].items():
            indices.add_metric([name], each["psi"])
        yield indices


def show_drift(report: Callable[[], dict[str, Any]]) -> None:
    """Show what `report` answers in the exposition."""
    from prometheus_client import REGISTRY

    REGISTRY.register(DriftGauges(report))


def exposition() -> tuple[bytes, str]:
    """All counters and gauges in Prometheus' text format, and its media type.

    They are those of this process; a service has only one (`limits.WORKERS`). BentoML's folder for
    counters of several processes is not used: all services of a user share it and clear it.
    """
    from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
