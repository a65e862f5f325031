"""The MLflow run around a pipeline, and everything that is logged to it.

This is the only module of training that imports MLflow. Steps hand it plain values.
"""

import functools
import logging
import os
import tempfile
import traceback
from collections.abc import Callable
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
from mlflow.models import infer_signature
from omegaconf import DictConfig, OmegaConf

from conf.errors import UserError
from models.common import PROBABILITIES, onnx_predict
from train.common.provenance import provenance, requirements
from train.common.report import png, render, render_failure
from train.common.values import Report, Samples, Splits

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

HEALTH_TIMEOUT = 5
"""Seconds a tracking server has to answer before the run is refused."""
PARAMS = ("seed", "model", "split", "fit")
"""Parts of the configuration logged as parameters; the whole of it is the artifact config.yaml."""

Train = Callable[[DictConfig], Any]


def tracked(train: Train) -> Train:
    """Run `train(config)` inside one MLflow run that tells the whole story, also of a failure.

    The experiment is `<model>/<dataset>`, the run is named `<version>-<env>`. An exception marks
    the run failed (Ctrl-C and SIGTERM: killed), after a report that names the step.
    """

    @functools.wraps(train)
    def run(config: DictConfig) -> Any:
        connect(config)
        facts = provenance()
        tags = facts | {
            "version": config.version,
            "env": config.env.name,
            "pipeline": _chosen("pipeline"),
        }
        name = f"{config.version}-{config.env.name}"
        active = mlflow.start_run(run_name=name, tags=tags)
        log.info("MLflow run %s of experiment %s", active.info.run_id, _experiment(config))
        try:
            mlflow.log_text(OmegaConf.to_yaml(config), "config.yaml")
            mlflow.log_params(_params(config))
            result = train(config)
            mlflow.end_run()
        except MlflowException as error:
            _fail(error, config, facts)
            raise UserError(
                f"the tracking server env.tracking_uri={config.env.tracking_uri} failed in mid-run "
                f"({error}); the same command goes on from the last finished epoch"
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
        mlflow.set_experiment(_experiment(config))
    except Exception as error:  # the stores raise whatever their drivers raise
        raise UserError(f"env.tracking_uri={uri} cannot be used: {error}; {way_out}") from error


def run_id() -> str:
    """Id of the run that is being logged."""
    active = mlflow.active_run()
    return active.info.run_id if active else ""


def log_data(samples: Samples) -> None:
    """Log which data this run sees: digest, counts, and the quarantined files."""
    mlflow.set_tag("data_digest", samples.digest)
    source = CodeDatasetSource(tags={"dataset": samples.name, "digest": samples.digest})
    short = samples.digest[:16]
    mlflow.log_input(MetaDataset(source, name=samples.name, digest=short), context="all splits")
    _log_table(samples.quarantined, "data/quarantined.csv")


def log_splits(splits: Splits) -> None:
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
    """Log metrics, tables, figures and the HTML report; a copy lies in the output folder."""
    mlflow.log_metrics(report.scalars)
    for name, frame in report.tables.items():
        _log_table(frame, f"tables/{name}.csv")
    with tempfile.TemporaryDirectory() as folder:
        for name, figure in report.figures.items():
            path = Path(folder, f"{name}.png")
            path.write_bytes(png(figure))
            mlflow.log_artifact(str(path), "figures")
    page = render(
        _title(config), {"run": run_id()} | provenance(), OmegaConf.to_yaml(config), report
    )
    _log_page(page)


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
    name = f"{config.model.name}-{config.dataset.name}"
    version = mlflow.register_model(info.model_uri, name, tags={"env": config.env.name})
    mlflow.MlflowClient().set_registered_model_alias(name, "challenger", version.version)
    log.info("registered %s version %s as challenger", name, version.version)
    return str(version.version)


def _experiment(config: DictConfig) -> str:
    return f"{config.model.name}/{config.dataset.name}"


def _title(config: DictConfig) -> str:
    return f"{config.model.name} on {config.dataset.name}, {config.version}, {config.env.name}"


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
    if HydraConfig.initialized():
        path = Path(HydraConfig.get().runtime.output_dir, "report.html")
        path.write_text(page, encoding="utf-8")
        log.info("report: %s", path)
    mlflow.log_text(page, "report.html")


def _failed_step(error: BaseException) -> str:
    """Name of the step in whose file or call `error` was raised, from its traceback."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        path = Path(frame.f_code.co_filename)
        if path.parent.name == "steps":
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
