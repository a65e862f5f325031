"""The MLflow run around a pipeline, and everything that is logged to it.

Beside `train.common.registry`, which reads models back, this is the only module of training that
imports MLflow. Steps hand it plain values.
"""

import functools
import json
import logging
import os
import shutil
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
import pandas as pd
import requests
from hydra.core.hydra_config import HydraConfig
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from omegaconf import DictConfig, OmegaConf

from conf.errors import UserError
from datasets.common.tables import Table
from models.common import PROBABILITIES, onnx_predict
from train.common.next_steps import serving
from train.common.provenance import provenance, requirements, settings_digest
from train.common.report import png, render, render_failure
from train.common.values import Report, Samples, Splits, TableSplits
from train.common.words import titles

if TYPE_CHECKING:
    import keras
    import pyarrow as pa
    from sklearn.pipeline import Pipeline

    from train.common.registry import FoldRun

log = logging.getLogger(__name__)

HEALTH_TIMEOUT = 5
"""Seconds a tracking server has to answer before the run is refused."""
PARAMS = ("seed", "model", "split", "fit", "probes", "study", "predict")
"""Parts of the configuration logged as parameters; the whole of it is the artifact config.yaml."""

Train = Callable[[DictConfig], Any]


def tracked(train: Train) -> Train:
    """Run `train(config)` inside one MLflow run that tells the whole story, also of a failure.

    The experiment of a training is `<model>/<dataset>`, that of a job `<task>/<name>`; the run is
    named `<version>-<env>`, and by its fold. An exception marks the run failed (Ctrl-C and SIGTERM:
    killed), after a report that names the step.
    """

    @functools.wraps(train)
    def run(config: DictConfig) -> Any:
        connect(config)
        facts = provenance()
        tags = facts | {
            "version": config.version,
            "env": config.env.name,
            "pipeline": _chosen("pipeline"),
            "settings_digest": settings_digest(config),
        }
        name = f"{config.version}-{config.env.name}{_fold(config)}"
        active = mlflow.start_run(run_name=name, tags=tags)
        log.info("MLflow run %s of experiment %s", active.info.run_id, experiment(config))
        try:
            mlflow.log_text(OmegaConf.to_yaml(config), "config.yaml")
            mlflow.log_params(_params(config))
            result = train(config)
            mlflow.end_run()
        except MlflowException as error:
            _fail(error, config, facts)
            raise UserError(
                f"the tracking server env.tracking_uri={config.env.tracking_uri} failed in mid-run "
                f"({error}); the same command goes on from what is finished"
            ) from error
        except BaseException as error:
            _fail(error, config, facts)
            raise
        return result

    return run


def connect(config: DictConfig) -> None:
    """Point MLflow at `env.tracking_uri`, or raise `UserError` saying what is wrong with it."""
    uri = config.env.tracking_uri
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")  # 7 would hang for minutes
    for chatty in ("alembic", "mlflow.store.db.utils", "mlflow.tracking.fluent", "tf2onnx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    way_out = "start the server, or name another one: MLFLOW_TRACKING_URI=sqlite:///mlflow.db"
    if uri.startswith(("http://", "https://")):
        try:
            requests.get(uri.rstrip("/") + "/health", timeout=HEALTH_TIMEOUT)
        except requests.RequestException as error:
            raise UserError(
                f"env.tracking_uri={uri} does not answer ({error}); {way_out}"
            ) from error
    mlflow.set_tracking_uri(uri)
    try:
        mlflow.set_experiment(experiment(config))
    except Exception as error:  # the stores raise whatever their drivers raise
        raise UserError(f"env.tracking_uri={uri} cannot be used: {error}; {way_out}") from error


def run_id() -> str:
    """Id of the run that is being logged."""
    active = mlflow.active_run()
    return active.info.run_id if active else ""


def log_data(samples: Samples | Table) -> None:
    """Log which data this run sees, as `data.json` too: digest, counts, quarantined files."""
    mlflow.set_tag("data_digest", samples.digest)
    rows = samples.frame if isinstance(samples, Table) else samples.table
    facts = {"dataset": samples.name, "rows": len(rows), "digest": samples.digest}
    _leave(json.dumps(facts, indent=2) + "\n", "data.json")
    source = CodeDatasetSource(tags={"dataset": samples.name, "digest": samples.digest})
    short = samples.digest[:16]
    mlflow.log_input(MetaDataset(source, name=samples.name, digest=short), context="all splits")
    _log_table(samples.quarantined, "data/quarantined.csv")


def log_splits(splits: Splits | TableSplits) -> None:
    """Log who is where, as `splits.csv`."""
    mlflow.set_tag("splits_digest", splits.digest)
    _log_table(splits.table(), "data/splits.csv")


def log_epoch(epoch: int, values: dict[str, Any]) -> None:
    """Log the figures of one finished epoch, 1-based."""
    numbers = {name: value for name, value in values.items() if isinstance(value, float)}
    mlflow.log_metrics(numbers, step=epoch)


def log_resumed(earlier: str) -> None:
    """Note that this run goes on from the epochs of the killed run `earlier`; close that one."""
    mlflow.set_tag("resumed_from", earlier)
    client = mlflow.MlflowClient()
    try:
        if client.get_run(earlier).info.status == "RUNNING":
            client.set_terminated(earlier, "KILLED")
        client.set_tag(earlier, "resumed_by", run_id())
    except MlflowException as error:
        log.warning("the run %s that is resumed is not on this server: %s", earlier, error)


def log_report(report: Report, config: DictConfig) -> None:
    """Log metrics, tables, figures and the HTML report.

    The report and `metrics.json` also lie in the output folder, where DVC finds them.
    """
    mlflow.log_metrics(report.scalars)
    _leave(json.dumps(report.scalars, indent=2) + "\n", "metrics.json")
    for name, frame in report.tables.items():
        _log_table(frame, f"tables/{name}.csv")
    with tempfile.TemporaryDirectory() as folder:
        for name, figure in report.figures.items():
            path = Path(folder, f"{name}.png")
            path.write_bytes(png(figure))
            mlflow.log_artifact(str(path), "figures")
    if report.summary:
        mlflow.set_tag("mlflow.note.content", " ".join(report.summary))
    page = render(
        _title(config),
        {"run": run_id()} | provenance(),
        OmegaConf.to_yaml(config),
        report,
        titles(config.dataset),
        serving(config, run_id()),
    )
    _log_page(page)


def log_parquet(table: "pa.Table", name: str) -> None:
    """Log `table` as `tables/<name>.parquet`, which also lies in the output folder."""
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{name}.parquet")
        pq.write_table(table, path)
        mlflow.log_artifact(str(path), "tables")
        if HydraConfig.initialized():
            shutil.copy(path, HydraConfig.get().runtime.output_dir)


def log_models(
    model: "keras.Model",
    onnx_path: Path,
    pixels: np.ndarray,
    config: DictConfig,
    metadata: dict[str, Any],
) -> str:
    """Log `keras` and `serving` (ONNX), register the latter as `challenger`, return its version.

    `pixels` uint8 (n, S, S, 3) are the input example. The keras model is stored without its
    optimizer, which would triple its size.
    """
    import onnx

    outputs = onnx_predict(onnx_path, pixels)
    signature = infer_signature(pixels, outputs)
    bare = type(model)(model.input, model.output, name=model.name)
    mlflow.tensorflow.log_model(
        bare,
        name="keras",
        signature=infer_signature(pixels, outputs[PROBABILITIES]),
        pip_requirements=requirements("tensorflow", "keras", "numpy"),
        metadata=metadata,
    )
    info = mlflow.onnx.log_model(
        onnx.load(onnx_path),
        name="serving",
        signature=signature,
        input_example=pixels,
        onnx_execution_providers=["CPUExecutionProvider"],
        pip_requirements=requirements("onnxruntime", "onnx", "numpy"),
        metadata=metadata,
    )
    return _register(info.model_uri, config)


def log_table_model(
    model: "Pipeline",
    inputs: pd.DataFrame,
    trusted: Sequence[str],
    config: DictConfig,
    metadata: dict[str, Any],
) -> str:
    """Log `serving` as skops, register it as `challenger`, return its version.

    `inputs` are the input example. The signature is that of `metadata["schema"]`, the JSON Schema
    of the dataset's contract; `trusted` are the types that skops may build.
    """
    columns = metadata["schema"]["properties"]
    outputs = TensorSpec(np.dtype(np.float64), (-1, len(metadata["classes"])), PROBABILITIES)
    info = mlflow.sklearn.log_model(
        model,
        name="serving",
        serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
        skops_trusted_types=list(trusted),
        pyfunc_predict_fn="predict_proba",
        signature=ModelSignature(
            Schema([_column(name, each) for name, each in columns.items()]), Schema([outputs])
        ),
        input_example=inputs,
        pip_requirements=requirements("scikit-learn", "skops", "numpy", "pandas"),
        metadata=metadata,
    )
    return _register(info.model_uri, config)


def _column(name: str, schema: dict[str, Any]) -> ColSpec:
    """MLflow's type of a column; one that may be null is optional."""
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    known = {"string": DataType.string, "integer": DataType.long, "number": DataType.double}
    return ColSpec(known[kinds[0]], name, required="null" not in kinds)


def _register(uri: str, config: DictConfig) -> str:
    """Make the logged model at `uri` the newest version, and the challenger."""
    name = f"{config.model.name}-{config.dataset.name}"
    version = mlflow.register_model(uri, name, tags={"env": config.env.name})
    mlflow.MlflowClient().set_registered_model_alias(name, "challenger", version.version)
    log.info("registered %s version %s as challenger", name, version.version)
    return str(version.version)


def log_folds(runs: "dict[int, FoldRun]") -> None:
    """Log which data and which runs of folds this run joins."""
    mlflow.set_tag("data_digest", runs[0].tags["data_digest"])
    mlflow.set_tags({f"fold_{number}": run.run_id for number, run in runs.items()})


def experiment(config: DictConfig) -> str:
    """Name of the experiment that runs of `config` belong to."""
    return _subject(config, "/", "/")


def _title(config: DictConfig) -> str:
    return f"{_subject(config, ' on ', ' ')}, {config.version}, {config.env.name}"


def _subject(config: DictConfig, on: str, of: str) -> str:
    """What a run is about: `<model><on><dataset>` of a training, `<task><of><name>` of a job."""
    if _chosen("recipe").endswith(("_training", "none")):
        return f"{config.model.name}{on}{config.dataset.name}"
    return _chosen("pipeline").replace("_", of, 1)


def _fold(config: DictConfig) -> str:
    """What a run's name says of its fold; nothing without folds."""
    if not OmegaConf.select(config, "split.folds"):
        return ""
    return "-folds" if config.split.fold is None else f"-fold{config.split.fold}"


def _chosen(group: str) -> str:
    if not HydraConfig.initialized():
        return "none"
    return str(HydraConfig.get().runtime.choices.get(group, "none"))


def _params(config: DictConfig) -> dict[str, Any]:
    masked = OmegaConf.to_container(OmegaConf.masked_copy(config, list(PARAMS)), enum_to_str=True)
    flat = pd.json_normalize(masked, sep=".").iloc[0].to_dict()
    return {**flat, "dataset.source": config.dataset.source.name}


def _log_table(frame: pd.DataFrame, artifact: str) -> None:
    mlflow.log_text(frame.to_csv(index=False), artifact)


def _log_page(page: str) -> None:
    if path := _leave(page, "report.html"):
        log.info("report: %s", path)
    mlflow.log_text(page, "report.html")


def _leave(text: str, name: str) -> Path | None:
    """The file `name` with `text` in the run's output folder, where Hydra made one."""
    if not HydraConfig.initialized():
        return None
    path = Path(HydraConfig.get().runtime.output_dir, name)
    path.write_text(text, encoding="utf-8")
    return path


def _failed_step(error: BaseException) -> str:
    """Name of the step in whose file or call `error` was raised, from its traceback."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        path = Path(frame.f_code.co_filename)
        if path.parent.name in ("steps", "jobs"):
            return path.stem
    return "before the first step"


def _fail(error: BaseException, config: DictConfig, facts: dict[str, str]) -> None:
    """Log the failure as far as the server still listens, and end the run."""
    step, reason = _failed_step(error), str(error) or type(error).__name__
    log.error("step %s failed: %s", step, reason.splitlines()[0])
    status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
    trace = "" if isinstance(error, UserError) else "".join(traceback.format_exception(error))
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"  # do not wait long for a server that died
    page = render_failure(_title(config), facts, OmegaConf.to_yaml(config), step, reason, trace)
    try:
        _log_page(page)
        mlflow.set_tag("failed_step", step)
        mlflow.end_run(status)
    except Exception as second:  # a dead server must not hide the first error
        log.error("the failure could not be logged either: %s", second)
