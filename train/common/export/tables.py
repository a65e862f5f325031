"""From a fitted pipeline to the model that leaves training: skops, never pickle."""

import numpy as np
import skops.io
from omegaconf import DictConfig

from models.tables import TRUSTED
from train.common.data.types import TableFitted, TableSplits
from train.common.tracking.register import log_table_model


def publish_table(fitted: TableFitted, splits: TableSplits, config: DictConfig) -> None:
    """Store as skops, compare on validation rows what is read back, log and register it.

    Raises `ArithmeticError` when the two differ: a model that changes in storage must not be
    served.
    """
    stored = skops.io.loads(skops.io.dumps(fitted.model), trusted=list(TRUSTED))
    inputs = splits.inputs(splits.validation)
    ours, theirs = (model.predict_proba(inputs) for model in (fitted.model, stored))
    if not np.array_equal(ours, theirs):
        raise ArithmeticError(
            f"the stored pipeline differs by {np.abs(ours - theirs).max():.2g} on validation rows; "
            "the model was not registered"
        )
    metadata = {
        "classes": list(splits.data.classes),
        "schema": splits.data.schema,
        "data_digest": splits.data.digest,
        "estimator": fitted.estimator.name,
    }
    log_table_model(fitted.model, TRUSTED, config, metadata)
