"""The service of treesurvival, first version.

    bentoml serve treesurvival.V1.service:TreeSurvival --working-dir deploy

What it answers, and how, is in `serving`, which every table service shares.
"""

from bentoml.models import BentoModel
from serving.image import TABLE_IMAGE
from serving.service import Served, served
from serving.table_app import TableService

from .common import LABELS, MODEL, PAGE


@served(MODEL, TABLE_IMAGE)
class TreeSurvival(Served):
    """Says how likely tree seedlings are not to survive their first season. For research."""

    model = BentoModel(f"{MODEL}:latest")
    routes = TableService(LABELS, PAGE)
