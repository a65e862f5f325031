"""The MLflow run around a pipeline, and what is logged to it; steps hand it plain values.

Text passes `conf.redaction` before it is logged, so no credential is. Modules beside this one find
the server (`connection`), register models (`register`) and read finished runs (`load`, `origin`);
no module outside this room imports MLflow.
"""

import contextlib
import functools
import json
import logging
import shutil
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pandas as pd
from hydra.core.hydra_config import HydraConfig
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.exceptions import MlflowException
from omegaconf import DictConfig, OmegaConf

from conf.errors import UserError
from conf.redaction import redact
from datasets.common.fetching.disk import atomic_write
from datasets.common.tables import Table
from train.common.data.types import Report, Samples, Splits, TableSplits
from train.common.evaluation.next_steps import serving
from train.common.evaluation.report import png, render, render_failure
from train.common.evaluation.words import titles
from train.common.tracking.connection import (
    check_refusal,
    check_registry,
    chosen,
    connect,
    experiment,
    impatient,
    status_of,
    subject,
    trains,
)
from train.common.tracking.provenance import provenance, settings_digest

if TYPE_CHECKING:
    import pyarrow as pa

    from train.common.tracking.load import FoldRun, Registered

log = logging.getLogger(__name__)

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
        try:
            active = _start(config, facts)
            log.info("MLflow run %s of experiment %s", active.info.run_id, experiment(config))
            if trains() and not OmegaConf.select(config, "split.folds"):
                check_registry(config, active.info.run_id)
            _log_text(OmegaConf.to_yaml(config), "config.yaml")
            mlflow.log_params(_params(config))
            result = train(config)
            mlflow.end_run()
        except MlflowException as error:
            _fail(error, config, facts)
            uri = config.env.tracking_uri
            check_refusal(status_of(error), uri, f"the experiment {experiment(config)}")
            raise UserError(
                f"the tracking server env.tracking_uri={uri} failed in mid-run ({error}); the same "
                "command goes on from what is finished"
            ) from error
        except BaseException as error:
            _fail(error, config, facts)
            raise
        return result

    return run


def _start(config: DictConfig, facts: dict[str, str]) -> mlflow.ActiveRun:
    """A run with its tags."""
    tags = facts | {
        "version": config.version,
        "env": config.env.name,
        "promotion": "allowed" if config.env.promotion else "refused",
        "pipeline": chosen("pipeline"),
        "settings_digest": settings_digest(config),
    }
    name = f"{config.version}-{config.env.name}{_fold(config)}"
    return mlflow.start_run(run_name=name, tags=tags)


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


def log_origin(origin: "Registered", weights: str, seen: int) -> None:
    """Note the registered model that this run goes on from, the sha256 of its `weights`.

    `seen` is how many of this run's test images that model was trained on or chosen by.
    """
    facts = {"": origin.uri, "_run": origin.run_id, "_weights": weights, "_seen_test": seen}
    mlflow.set_tags({f"started_from{name}": fact for name, fact in facts.items()})


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
    _leave_page(page)
    _log_text(page, "report.html")


def log_parquet(table: "pa.Table", name: str) -> None:
    """Log `table` as `tables/<name>.parquet`, which also lies in the output folder."""
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{name}.parquet")
        pq.write_table(table, path)
        mlflow.log_artifact(str(path), "tables")
        if HydraConfig.initialized():
            with atomic_write(Path(HydraConfig.get().runtime.output_dir, path.name)) as draft:
                shutil.copy(path, draft)


def log_folds(runs: "dict[int, FoldRun]") -> None:
    """Log which data and which runs of folds this run joins."""
    mlflow.set_tag("data_digest", runs[0].tags["data_digest"])
    mlflow.set_tags({f"fold_{number}": run.run_id for number, run in runs.items()})


def _title(config: DictConfig) -> str:
    return f"{subject(config, ' on ', ' ')}, {config.version}, {config.env.name}"


def _fold(config: DictConfig) -> str:
    """What a run's name says of its fold; nothing without folds."""
    if not OmegaConf.select(config, "split.folds"):
        return ""
    return "-folds" if config.split.fold is None else f"-fold{config.split.fold}"


def _params(config: DictConfig) -> dict[str, Any]:
    masked = OmegaConf.to_container(OmegaConf.masked_copy(config, list(PARAMS)), enum_to_str=True)
    flat = pd.json_normalize(masked, sep=".").iloc[0].to_dict()
    shown = {k: redact(value) if isinstance(value, str) else value for k, value in flat.items()}
    return {**shown, "dataset.source": config.dataset.source.name}


def _log_table(frame: pd.DataFrame, artifact: str) -> None:
    mlflow.log_text(frame.to_csv(index=False), artifact)


def _leave_page(page: str) -> None:
    if path := _leave(page, "report.html"):
        log.info("report: %s", path)


def _log_text(text: str, artifact: str) -> None:
    mlflow.log_text(redact(text), artifact)


def _leave(text: str, name: str) -> Path | None:
    """The file `name` with `text` in the run's output folder, where Hydra made one."""
    if not HydraConfig.initialized():
        return None
    path = Path(HydraConfig.get().runtime.output_dir, name)
    with atomic_write(path) as draft:
        draft.write_text(redact(text), encoding="utf-8")
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
    page = render_failure(_title(config), facts, OmegaConf.to_yaml(config), step, reason, trace)
    _leave_page(page)
    if mlflow.active_run() is None:  # it could not start
        return
    with impatient():
        try:
            _log_text(page, "report.html")
            mlflow.set_tag("failed_step", step)
        except Exception as second:  # a dead server must not hide the first error
            log.error("the failure could not be logged either: %s", second)
        with contextlib.suppress(Exception):  # said already; the next run of this process
            mlflow.end_run(status)
