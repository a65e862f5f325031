"""What is counted for Prometheus, beside what BentoML counts of every service."""

from collections.abc import Sequence


class Metrics:
    """Counters of /predict: requests by status, seconds, refusals by reason, answers by class."""

    def __init__(self, classes: Sequence[str]) -> None:
        # Imported only now: BentoML names the folder that workers share after it imports services.
        from prometheus_client import Counter, Histogram

        self.requests = Counter("sonda_requests_total", "Requests to /predict.", ["status"])
        self.seconds = Histogram("sonda_request_seconds", "Time to an answer of /predict.")
        self.rejections = Counter("sonda_rejections_total", "Requests refused.", ["reason"])
        self.predictions = Counter(
            "sonda_predictions_total", "Images or rows by answer.", ["label"]
        )
        for label in classes:
            self.predictions.labels(label)  # so that a class never seen shows as 0
