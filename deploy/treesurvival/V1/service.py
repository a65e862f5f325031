"""The service of treesurvival, first version.

    bentoml serve deploy.treesurvival.V1.service:TreeSurvival

`deploy.serving` holds what all table services share.
"""

from bentoml.models import BentoModel

from deploy.serving.container import TABLE_IMAGE
from deploy.serving.service import Served, served
from deploy.serving.tables.service import TableService

from .common import LABELS, MODEL, PAGE


@served(MODEL, TABLE_IMAGE)
class TreeSurvival(Served):
    """Says how likely tree seedlings are not to survive their first season. For research."""

    model = BentoModel(f"{MODEL}:latest")
    routes = TableService(LABELS, PAGE)
