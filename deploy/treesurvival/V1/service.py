"""The service of treesurvival, first version.

    bentoml serve treesurvival.V1.service:TreeSurvival --working-dir deploy

What it answers, and how, is in `serving`, which every table service shares.
"""

import bentoml
from bentoml.models import BentoModel
from serving.image import TABLE_IMAGE
from serving.limits import Limits
from serving.loading import Facts
from serving.table_app import TableService
from serving.tables import TableClassifier

from .common import LABELS, MODEL, PAGE

service = TableService(LABELS, PAGE)


@bentoml.service(name=MODEL, image=TABLE_IMAGE, workers=1, traffic={"timeout": 60})
@bentoml.asgi_app(service.app(), path="/")
class TreeSurvival:
    """Says how likely tree seedlings are not to survive their first season. For research."""

    model = BentoModel(f"{MODEL}:latest")

    def __init__(self) -> None:
        stored = self.model
        folder = stored.path_of("mlflow_model")
        facts = Facts.of(stored.info.metadata)
        self.classifier = TableClassifier(facts, folder, Limits.from_environment())
        service.open(self.classifier)

    def __is_alive__(self) -> bool:
        return not self.classifier.failed

    def __is_ready__(self) -> bool:
        return self.classifier.ready
