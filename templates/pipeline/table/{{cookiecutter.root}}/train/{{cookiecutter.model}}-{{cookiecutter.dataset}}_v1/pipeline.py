"""{{cookiecutter.model}} on {{cookiecutter.dataset}}, first version.

python -m train +pipeline=train_{{cookiecutter.pipeline}} env=development
"""

from omegaconf import DictConfig

from conf.schema import TableTraining, typed
from train.common.data.types import TrainedPipeline
from train.common.export.tables import export
from train.common.tracking.log import tracked_run

from .steps.ingest import ingest
from .steps.metrics import metrics
from .steps.split import split
from .steps.train import fit
from .steps.transform import transform


def train(config: DictConfig) -> TrainedPipeline:
    """Search the hyper-parameters on train by group, evaluate once on test."""
    settings = typed(config, TableTraining)
    with tracked_run(settings) as run:
        table = run.step(ingest, settings, run)
        table = run.step(transform, table)
        splits = run.step(split, table, settings, run)
        trained = run.step(fit, splits, settings)
        report = run.step(metrics, trained, splits, settings)
        run.log_report(report)
        run.step(export, trained, splits, settings)
    return trained
