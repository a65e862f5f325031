"""The service of {{cookiecutter.model}} on {{cookiecutter.dataset}}.

    bentoml serve {{cookiecutter.model}}.{{cookiecutter.deployment}}.service:{{cookiecutter.service}} --working-dir deploy

What it answers, and how, is in `serving`, which every image service shares.
"""

from bentoml.models import BentoModel
from serving.app import ImageService
from serving.image import IMAGE
from serving.service import Served, served

from .common import LABELS, MODEL, PAGE


@served(MODEL, IMAGE)
class {{cookiecutter.service}}(Served):
    """Classifies images. For research, not for diagnosis."""

    model = BentoModel(f"{MODEL}:latest")
    routes = ImageService(LABELS, PAGE)
