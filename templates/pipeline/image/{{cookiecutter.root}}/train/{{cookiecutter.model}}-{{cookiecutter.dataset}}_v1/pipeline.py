"""{{cookiecutter.model}} on {{cookiecutter.dataset}}, first version.

python -m train +pipeline=train_{{cookiecutter.pipeline}} env=development
"""

from typing import TYPE_CHECKING

from omegaconf import DictConfig

from train.common.cross_validation import cross_validated
from train.common.tracking.log import tracked

from .steps.ingest import ingest
from .steps.metrics import metrics
from .steps.split import split
from .steps.train import fit
from .steps.transform import transform

if TYPE_CHECKING:
    import keras


@cross_validated
@tracked
def train(config: DictConfig) -> "keras.Model":
    """Warm up the head, fine-tune behind the freeze boundary, evaluate once on test."""
    samples = ingest(config)
    samples = transform(samples, config)
    splits = split(samples, config)
    fitted = fit(splits, config)
    metrics(fitted, splits, config)
    return fitted.model
