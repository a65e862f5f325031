"""The service of mobilenetv2ft on kvasir4, first version.

    bentoml serve mobilenetv2ft.V1.service:MobileNetV2FT --working-dir deploy

What it answers, and how, is in `serving`, which every image service shares.
"""

from bentoml.models import BentoModel
from serving.app import ImageService
from serving.image import IMAGE
from serving.service import Served, served

from .common import LABELS, MODEL, PAGE


@served(MODEL, IMAGE)
class MobileNetV2FT(Served):
    """Classifies endoscopy frames. For research, not for diagnosis."""

    model = BentoModel(f"{MODEL}:latest")
    routes = ImageService(LABELS, PAGE)
