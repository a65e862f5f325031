"""{{cookiecutter.model}} on {{cookiecutter.dataset}}, first version.

python -m train +pipeline=train_{{cookiecutter.pipeline}} env=development
"""

from typing import TYPE_CHECKING

from omegaconf import DictConfig

from train.common.tracking.log import tracked

from .steps.ingest import ingest
from .steps.metrics import metrics
from .steps.split import split
from .steps.train import fit
from .steps.transform import transform

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


@tracked
def train(config: DictConfig) -> "Pipeline":
    """Search the hyper-parameters on train by group, evaluate once on test."""
    table = ingest(config)
    table = transform(table)
    splits = split(table, config)
    fitted = fit(splits, config)
    metrics(fitted, splits, config)
    return fitted.model
