"""Counters for Prometheus."""

from collections.abc import Sequence


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


def exposition() -> tuple[bytes, str]:
    """All counters in Prometheus' text format, and its media type.

    They are those of this process; a service has only one (`limits.WORKERS`). BentoML's folder for
    counters of several processes is not used: all services of a user share it and clear it.
    """
    from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
