"""The service of {{cookiecutter.model}} on {{cookiecutter.dataset}}.

    bentoml serve deploy.{{cookiecutter.model}}.{{cookiecutter.deployment}}.service:{{cookiecutter.service}}

`deploy.serving` holds what all table services share.
"""

from bentoml.models import BentoModel

from deploy.serving.container import TABLE_IMAGE
from deploy.serving.service import Served, served
from deploy.serving.tables.service import TableService

from .common import LABELS, MODEL, PAGE


@served(MODEL, TABLE_IMAGE)
class {{cookiecutter.service}}(Served):
    """Classifies rows. For research, not for diagnosis."""

    model = BentoModel(f"{MODEL}:latest")
    routes = TableService(LABELS, PAGE)
