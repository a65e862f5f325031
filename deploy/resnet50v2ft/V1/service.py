"""The service of resnet50v2ft on kvasir4, first version.

    bentoml serve deploy.resnet50v2ft.V1.service:ResNet50V2FT

`deploy.serving` holds what all image services share.
"""

from bentoml.models import BentoModel

from deploy.serving.container import IMAGE
from deploy.serving.images.service import ImageService
from deploy.serving.service import Served, served

from .common import LABELS, MODEL, PAGE


@served(MODEL, IMAGE)
class ResNet50V2FT(Served):
    """Classifies endoscopy frames. For research, not for diagnosis."""

    model = BentoModel(f"{MODEL}:latest")
    routes = ImageService(LABELS, PAGE)
