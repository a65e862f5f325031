"""The service of {{cookiecutter.model}} on {{cookiecutter.dataset}}.

    bentoml serve deploy.{{cookiecutter.model}}.{{cookiecutter.deployment}}.service:{{cookiecutter.service}}

`deploy.serving` holds what all image services share.
"""

from bentoml.models import BentoModel

from deploy.serving.container import IMAGE
from deploy.serving.images.service import ImageService
from deploy.serving.service import Served, served

from .common import LABELS, MODEL, PAGE


@served(MODEL, IMAGE)
class {{cookiecutter.service}}(Served):
    """Classifies images. For research, not for diagnosis."""

    model = BentoModel(f"{MODEL}:latest")
    routes = ImageService(LABELS, PAGE)
