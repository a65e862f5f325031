"""The service of efficientnetliteft on kvasir4.

    bentoml serve deploy.efficientnetliteft.V1.service:Efficientnetliteft

`deploy.serving` holds what all image services share.
"""

from bentoml.models import BentoModel

from deploy.serving.container import IMAGE
from deploy.serving.images.service import ImageService
from deploy.serving.service import Served, served

from .common import LABELS, MODEL, PAGE


@served(MODEL, IMAGE)
class Efficientnetliteft(Served):
    """Classifies images. For research, not for diagnosis."""

    model = BentoModel(f"{MODEL}:latest")
    routes = ImageService(LABELS, PAGE)
