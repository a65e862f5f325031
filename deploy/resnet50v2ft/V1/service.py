"""The service of resnet50v2ft on kvasir4, first version.

    bentoml serve resnet50v2ft.V1.service:ResNet50V2FT --working-dir deploy

What it answers, and how, is in `serving`, which every image service shares.
"""

import bentoml
from bentoml.models import BentoModel
from serving.app import ImageService
from serving.classifier import Classifier, Facts
from serving.image import IMAGE
from serving.limits import Limits

from .common import LABELS, MODEL

WORKERS = 1
"""Processes. One uses all cores for each image; a second one would only take memory."""

service = ImageService(LABELS)


@bentoml.service(name=MODEL, image=IMAGE, workers=WORKERS, traffic={"timeout": 60})
@bentoml.asgi_app(service.app(), path="/")
class ResNet50V2FT:
    """Classifies endoscopy images. For research, not for diagnosis."""

    model = BentoModel(f"{MODEL}:latest")

    def __init__(self) -> None:
        stored = self.model
        known = stored.info.metadata
        facts = Facts(
            name=known["name"],
            version=known["version"],
            run_id=known["run_id"],
            classes=tuple(known["classes"]),
        )
        folder = stored.path_of("mlflow_model")
        self.classifier = Classifier(facts, folder, Limits.from_environment(), WORKERS)
        service.open(self.classifier)

    def __is_alive__(self) -> bool:
        return not self.classifier.failed

    def __is_ready__(self) -> bool:
        return self.classifier.ready
