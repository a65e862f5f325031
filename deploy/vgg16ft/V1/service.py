"""The service of vgg16ft on kidney2, first version.

    bentoml serve deploy.vgg16ft.V1.service:VGG16FT

`deploy.serving` holds what all image services share.
"""

from bentoml.models import BentoModel

from deploy.serving.container import IMAGE
from deploy.serving.images.service import ImageService
from deploy.serving.service import Served, served

from .common import LABELS, MODEL, PAGE


@served(MODEL, IMAGE)
class VGG16FT(Served):
    """Classifies slices of kidney CT. For research, not for diagnosis."""

    model = BentoModel(f"{MODEL}:latest")
    routes = ImageService(LABELS, PAGE)
