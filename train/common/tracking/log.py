"""The MLflow run of a pipeline: everything that is logged, also after a failure.

`conf.redaction` removes credentials from every text before it is logged. Other modules of this
package find the server (`connection`), register models (`register`) and read finished runs (`load`,
`origin`). No other module of training imports MLflow.
"""

import contextlib
import json
import logging
import shlex
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import mlflow
import pandas as pd
from hydra.core.hydra_config import HydraConfig
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.exceptions import MlflowException
from omegaconf import OmegaConf

from conf.errors import UserError
from conf.redaction import redact
from conf.schema import Config, Promotion
from datasets.common.fetching.disk import atomic_write
from datasets.common.types import Dataset
from train.common.data.types import Report, Splits
from train.common.evaluation.card import card
from train.common.evaluation.next_steps import serving
from train.common.evaluation.report import png, render, render_failure
from train.common.evaluation.words import titles
from train.common.tracking.cards import log_card
from train.common.tracking.connection import (
    check_refusal,
    check_registry,
    chosen,
    connect,
    experiment,
    fold,
    impatient,
    is_training,
    registers,
    status_of,
    title,
    words,
)
from train.common.tracking.epochs import EpochMetrics
from train.common.tracking.files import leave, log_table, log_text
from train.common.tracking.liveness import Alive, close
from train.common.tracking.promotion import after_training
from train.common.tracking.provenance import params, provenance, settings_digest
from train.common.tracking.trials import Pruned, Watch, report_file

if TYPE_CHECKING:
    import pyarrow as pa

    from train.common.tracking.load import FoldRun, Registered

log = logging.getLogger(__name__)

Given = ParamSpec("Given")
Result = TypeVar("Result")


@contextmanager
def tracked_run(settings: Config, watch: Watch | None = None) -> Iterator["Run"]:
    """A context with one MLflow run, which is closed with its status, also after a failure.

    A run within another is its child. `watch` hears of each epoch, and may raise `Pruned`.

    The experiment of a training is `<model>/<dataset>`, that of a job `<task>/<name>`. The name of
    the run is `<version>-<env>` and its fold. An exception marks the run as failed (Ctrl-C and
    SIGTERM: killed), after a report that names the step.
    """
    connect(settings)
    run = Run(settings, watch)
    try:
        run.start()
        yield run
        run.conclude()
        run.end("FINISHED")
        if settings.env.promotion is Promotion.automatic:
            after_training(run.id)
    except Pruned as reason:
        mlflow.set_tag("pruned", str(reason))
        run.end("FINISHED")
        raise
    except MlflowException as error:
        run.fail(error)
        uri = settings.env.tracking_uri
        check_refusal(status_of(error), uri, f"the experiment {experiment(settings)}")
        raise UserError(
            f"the tracking server env.tracking_uri={uri} failed in mid-run ({error}); the same "
            "command continues after the last finished work"
        ) from error
    except BaseException as error:
        run.fail(error)
        raise


class Run:
    """Logs one run; `tracked_run` makes it."""

    def __init__(self, settings: Config, watch: Watch | None = None) -> None:
        self.settings, self._watch = settings, watch
        self.id = ""
        self._alive: Alive | None = None
        self._epochs = EpochMetrics()
        self._facts = provenance()
        self._step = "before the first step" if is_training(settings) else chosen("recipe")
        self._seconds: dict[str, float] = {}
        """The duration of each finished step."""
        self._last: dict[str, str] = {}
        """The lines that end the log of a finished run."""

    def start(self) -> None:
        """Start the run, and log its tags, parameters and configuration."""
        settings = self.settings
        tags = self._facts | {
            "version": settings.version,
            "env": settings.env.name,
            "promotion": settings.env.promotion.name,
            "pipeline": chosen("pipeline"),
            "overrides": redact(shlex.join(words())),
            "settings_digest": settings_digest(settings),
        }
        name = f"{settings.version}-{settings.env.name}{fold(settings)}"
        self.id = mlflow.start_run(run_name=name, tags=tags, nested=True).info.run_id
        log.info("MLflow run %s of experiment %s", self.id, experiment(settings))
        if registers(settings):
            check_registry(settings, self.id)
        self._alive = Alive(Path(settings.env.cache), settings.env.tracking_uri, self.id)
        self._alive.close_dead()
        log_text(_yaml(settings), "config.yaml")
        mlflow.log_params(params(settings))

    def step(
        self, work: Callable[Given, Result], *given: Given.args, **named: Given.kwargs
    ) -> Result:
        """Return `work(*given)`; the report of a failure names the module of `work`."""
        name, started = work.__module__.rpartition(".")[2], time.perf_counter()
        self._step = name
        result = work(*given, **named)
        self._step = f"after {name}"
        self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - started
        return result

    def log_data(self, data: Dataset) -> None:
        """Log the data of this run, also as `data.json`: digest, counts, quarantined files."""
        mlflow.set_tag("data_digest", data.digest)
        facts = {"dataset": data.name, "rows": len(data.frame), "digest": data.digest}
        leave(json.dumps(facts, indent=2) + "\n", "data.json")
        source = CodeDatasetSource(tags={"dataset": data.name, "digest": data.digest})
        short = data.digest[:16]
        mlflow.log_input(MetaDataset(source, name=data.name, digest=short), context="all splits")
        log_table(data.quarantined, "data/quarantined.csv")

    def log_splits(self, splits: Splits[Any]) -> None:
        """Log which sample is in which split, as `splits.csv`."""
        mlflow.set_tag("splits_digest", splits.digest)
        log_table(splits.table(), "data/splits.csv")

    def log_gate(self, tag: str, table: pd.DataFrame) -> None:
        """Log the outcome of the leak gate, which `make promote` reads, and its checks."""
        mlflow.set_tag("gate", tag)
        log_table(table, "tables/gate.csv")

    def log_epoch(self, epoch: int, values: dict[str, Any]) -> None:
        """Log the metrics of one finished epoch, 1-based; a server that is away gets them later."""
        self._epochs.log(self.id, epoch, values)
        if self._watch:
            self._watch(self.id, epoch, values)

    def log_resumed(self, earlier: str) -> None:
        """Log that this run continues the killed run `earlier`, and close that run."""
        mlflow.set_tag("resumed_from", earlier)
        close(earlier, resumed_by=self.id)

    def log_origin(self, origin: "Registered", weights: str, seen: int) -> None:
        """Log the registered model that this run starts from, and the sha256 of its `weights`.

        `seen` is the number of test images of this run that the model used for training or
        validation.
        """
        facts = {"": origin.uri, "_run": origin.run_id, "_weights": weights, "_seen_test": seen}
        mlflow.set_tags({f"started_from{name}": fact for name, fact in facts.items()})

    def log_device(self, device: str) -> None:
        """Log what the training runs on, also in the report."""
        self._facts = self._facts | {"device": device}
        mlflow.set_tag("device", device)

    def log_report(self, report: Report) -> None:
        """Log metrics, tables, figures and the HTML report.

        The report and `metrics.json` are also written to the output folder, where DVC finds them.
        """
        self._epochs.send(self.id)
        mlflow.log_metrics(report.scalars)
        leave(json.dumps(report.scalars, indent=2) + "\n", "metrics.json")
        for name, frame in report.tables.items():
            log_table(frame, f"tables/{name}.csv")
        drawn = {name: png(figure) for name, figure in report.figures.items()}
        with tempfile.TemporaryDirectory() as folder:
            for name, picture in drawn.items():
                path = Path(folder, f"{name}.png")
                path.write_bytes(picture)
                mlflow.log_artifact(str(path), "figures")
        if report.summary:
            mlflow.set_tag("mlflow.note.content", " ".join(report.summary))
        commands = serving(self.settings, self.id)
        page = render(
            title(self.settings),
            {"run": self.id} | self._facts,
            _yaml(self.settings),
            report,
            titles(self.settings.dataset),
            commands,
            drawn,
        )
        self._last = {
            "result": " ".join(report.summary[:2]),
            "report": str(leave(page, report_file(self.settings)) or ""),
            "serve it": next(filter(None, commands.values()), ""),
        }
        log_text(page, "report.html")
        if registers(self.settings):
            facts = {"run": self.id} | self._facts
            log_card(card(self.settings, report, facts, title(self.settings)))

    def conclude(self) -> None:
        """End the log of a finished run: durations, result, report, and the command that serves."""
        mlflow.log_metrics({f"seconds_{name}": spent for name, spent in self._seconds.items()})
        spent = ", ".join(f"{name} {spent:.1f} s" for name, spent in self._seconds.items())
        for name, said in ({"steps": spent} | self._last).items():
            if said:
                log.info("%s: %s", name, said)

    def end(self, status: str) -> None:
        """End the run as `FINISHED`, `FAILED` or `KILLED`; if that fails, the next run does it."""
        with self._alive.ending() if self._alive else contextlib.nullcontext():
            mlflow.end_run(status)

    def log_parquet(self, table: "pa.Table", name: str) -> None:
        """Log `table` as `tables/<name>.parquet`, and write it to the output folder too."""
        import pyarrow.parquet as pq

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"{name}.parquet")
            pq.write_table(table, path)
            mlflow.log_artifact(str(path), "tables")
            if HydraConfig.initialized():
                with atomic_write(Path(HydraConfig.get().runtime.output_dir, path.name)) as draft:
                    shutil.copy(path, draft)

    def log_folds(self, runs: "dict[int, FoldRun]") -> None:
        """Log the data and the runs of the folds that this run pools."""
        mlflow.set_tag("data_digest", runs[0].tags["data_digest"])
        mlflow.set_tags({f"fold_{number}": run.run_id for number, run in runs.items()})

    def fail(self, error: BaseException) -> None:
        """Log the failure, if the server still answers, and end the run."""
        step, reason = self._step, str(error) or type(error).__name__
        log.error("step %s failed: %s", step, reason.splitlines()[0])
        status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        trace = "" if isinstance(error, UserError) else "".join(traceback.format_exception(error))
        name, settings = title(self.settings), _yaml(self.settings)
        page = render_failure(name, self._facts, settings, step, reason, trace)
        if path := leave(page, "report.html"):
            log.info("report: %s", path)
        if not self.id:  # it could not start
            return
        with impatient():
            try:
                self._epochs.send(self.id)
                log_text(page, "report.html")
                mlflow.set_tag("failed_step", step)
            except Exception as second:  # a second error must not hide the first one
                log.error("the failure could not be logged either: %s", second)
            with contextlib.suppress(Exception):  # already logged; a next run must start
                self.end(status)


def _yaml(settings: Config) -> str:
    return OmegaConf.to_yaml(OmegaConf.structured(settings))
