"""The files of a run: artifacts in MLflow, and the output folder that Hydra makes."""

from pathlib import Path

import mlflow
import pandas as pd
from hydra.core.hydra_config import HydraConfig

from conf.redaction import redact
from datasets.common.fetching.disk import atomic_write


def log_table(frame: pd.DataFrame, artifact: str) -> None:
    """Log `frame` as a CSV file."""
    mlflow.log_text(frame.to_csv(index=False), artifact)


def log_text(text: str, artifact: str) -> None:
    """Log `text`, without credentials."""
    mlflow.log_text(redact(text), artifact)


def leave(text: str, name: str) -> Path | None:
    """Write `text` to the file `name` in the output folder of the run, if Hydra made one."""
    if not HydraConfig.initialized():
        return None
    path = Path(HydraConfig.get().runtime.output_dir, name)
    with atomic_write(path) as draft:
        draft.write_text(redact(text), encoding="utf-8")
    return path
