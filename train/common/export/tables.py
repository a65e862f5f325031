"""Export a fitted pipeline as skops (never as pickle), and register it."""

import numpy as np
import skops.io

from conf.schema import TableTraining
from datasets.common.tables import Table
from models.tables import TRUSTED
from train.common.data.tables import features
from train.common.data.types import Splits, TrainedPipeline
from train.common.tracking.register import log_table_model


def export(trained: TrainedPipeline, splits: Splits[Table], settings: TableTraining) -> None:
    """Store as skops, read it back, compare both on validation rows, log and register.

    Raises `ArithmeticError` when the two differ: a model that changes in storage must not be
    served.
    """
    stored = skops.io.loads(skops.io.dumps(trained.model), trusted=list(TRUSTED))
    inputs = features(splits, splits.validation)
    ours, theirs = (model.predict_proba(inputs) for model in (trained.model, stored))
    if not np.array_equal(ours, theirs):
        raise ArithmeticError(
            f"the stored pipeline differs by {np.abs(ours - theirs).max():.2g} on validation rows; "
            "the model was not registered"
        )
    metadata = {
        "classes": list(splits.data.classes),
        "schema": splits.data.schema,
        "data_digest": splits.data.digest,
        "estimator": trained.estimator.name,
    }
    log_table_model(trained.model, TRUSTED, settings, metadata)
