"""Write predictions to one Parquet file, part by part, so that a killed run can continue.

```mermaid
flowchart LR
    R[rows] -->|every part_size| P["x.parquet.parts/000001.parquet"]
    P -->|all scored| X["x.parquet, the parts are removed"]
    X -->|more input later| P
```

Parts and the file are renamed when they are complete, and rows of a complete part are never scored
again. A damaged part counts as absent, and so do all parts after it. Memory holds one part at a
time. The metadata of each file's schema name the model. One process at a time writes to one file.
"""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from conf.errors import UserError
from conf.schema import ImagePrediction, TablePrediction
from datasets.common.fetching import disk
from datasets.common.fetching.locks import Lock
from datasets.common.images import READER, REASONS
from train.common.data.types import Report
from train.common.tracking.load import Registered
from train.common.tracking.log import Run
from train.jobs import pictures

log = logging.getLogger(__name__)

WAY_OUT = "free some space and repeat the command, which keeps scored rows; or predict.output=..."
BECAUSE = "abstained_because"
"""Column of the reason why a model of images abstains."""
SHOWN = 60
"""Largest number of rows without a prediction in the report; all are in the file."""
BINS = 20
OfPrediction = ImagePrediction | TablePrediction
SAME = ("model_name", "model_version", "run_id", "input", "reading")
"""Metadata that must be equal for two runs to write one file."""


class Scores:
    """Writer of the Parquet file `settings.predict.output`.

    Its columns are `keys`, which identify a row, then label, `p_<class>` for each class, `more`,
    and the reason why there is no prediction. `given` names the input. It is a context manager.
    Raises `UserError` while another process writes the same file.
    """

    def __init__(
        self,
        keys: list[pa.Field],
        model: Registered,
        given: str,
        settings: OfPrediction,
        run: Run,
        more: Sequence[pa.Field] = (),
    ) -> None:
        self.run = run
        self.output = Path(settings.predict.output).expanduser().absolute()
        self.parts = self.output.with_name(self.output.name + ".parts")
        facts = {
            "model_uri": model.uri,
            "model_name": model.name,
            "model_version": model.version,
            "run_id": model.run_id,
            "input": given,
            "reading": _reading(settings),
            "scored_by_run": run.id,
        }
        answers = [pa.field(f"p_{name}", pa.float32()) for name in model.metadata["classes"]]
        label, reason = (pa.field(name, pa.string()) for name in ("label", "reason"))
        self.schema = pa.schema([*keys, label, *answers, *more, reason], facts)
        self.more = [field.name for field in more]
        self.next = 0
        """Number of the next part."""
        if self.output.is_dir():
            raise UserError(f"predict.output={self.output} is a folder; name a file in it")
        with self._writable():
            self._lock = Lock(
                self.output.with_name(f".{self.output.name}.lock"),
                f"predict.output={self.output}",
                run=run.id,
                way_out="wait until it ends, or name another file",
            )
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> "Scores":
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def _open(self) -> None:
        if self.output.exists():
            self._check(self.output)
        with self._writable():
            self._resume()

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except FileExistsError as error:
            raise UserError(
                f"predict.output={self.output} cannot be written: {error.filename} is no folder"
            ) from error
        except OSError as error:
            if error.errno in disk.FULL:
                raise
            raise UserError(
                f"predict.output={self.output} cannot be written: {error.strerror or error}"
            ) from error

    def _resume(self) -> None:
        """Keep the finished parts; new parts follow them."""
        if self.output.exists():
            shutil.rmtree(self.parts, ignore_errors=True)  # all of them are in the file
        self.parts.mkdir(parents=True, exist_ok=True)
        disk.remove_drafts(self.output)
        for draft in self.parts.glob(f"{disk.DRAFT}*"):
            draft.unlink()
        if self.output.exists():
            self.output.rename(self.parts / "000000.parquet")
        found = self._sound()
        for path in found:
            self._check(path)
        self.next = int(found[-1].stem) + 1 if found else 0
        if found:
            earlier = pq.read_schema(found[-1]).metadata[b"scored_by_run"].decode()
            log.info("%s: %d rows are scored already, continuing", self.output, self.rows)
            if earlier not in ("", self.run.id):
                self.run.log_resumed(earlier)

    def _check(self, path: Path) -> None:
        """Raise `UserError` if `path` has predictions of another model or input."""
        try:
            known = pq.read_schema(path).metadata or {}
        except (OSError, pa.ArrowInvalid):
            known = {}
        for name in SAME:
            theirs = known.get(name.encode(), b"nothing known").decode()
            ours = (self.schema.metadata or {})[name.encode()].decode()
            if theirs != ours:
                raise UserError(
                    f"{path} holds predictions with {name} {theirs}, and this run has {ours}: "
                    "choose another predict.output, or remove it"
                    + ("" if name == "input" else " (predict.model_uri=... names the same model)")
                )

    def _sound(self) -> list[Path]:
        """The finished parts; the first damaged part and all after it are removed."""
        found = self._finished()
        for number, path in enumerate(found):
            try:
                for _ in pq.ParquetFile(path, page_checksum_verification=True).iter_batches():
                    pass
            except (OSError, pa.ArrowException) as error:
                disk.absent(path, error)
                log.warning("%d parts from it on are scored again", len(found) - number)
                for torn in found[number:]:
                    torn.unlink()
                return found[:number]
        return found

    def _finished(self) -> list[Path]:
        return sorted(self.parts.glob("[0-9]*.parquet"))

    @property
    def rows(self) -> int:
        """Number of scored rows."""
        return sum(pq.read_metadata(path).num_rows for path in self._finished())

    def known(self, *columns: str) -> set[tuple[Any, ...]]:
        """The values of `columns` in the scored rows."""
        tables = (pq.read_table(path, columns=list(columns)) for path in self._finished())
        return {
            row
            for table in tables
            for row in zip(*(table[name].to_pylist() for name in columns), strict=True)
        }

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Write a part; it is complete or absent."""
        path = self.parts / f"{self.next:06d}.parquet"
        with disk.writing(self.parts, WAY_OUT):
            self._write(path, iter([pa.Table.from_pylist(rows, self.schema)]))
        self.next += 1

    def close(self) -> None:
        """Join the parts into the file, one at a time, and remove them."""
        tables = (pq.read_table(path, schema=self.schema) for path in self._finished())
        with disk.writing(self.output.parent, WAY_OUT):
            self._write(self.output, tables)
        shutil.rmtree(self.parts)

    def _write(self, path: Path, tables: Iterator[pa.Table]) -> None:
        with (
            disk.atomic_write(path) as draft,
            pq.ParquetWriter(draft, self.schema, write_page_checksum=True) as writer,
        ):
            for table in tables:
                writer.write_table(table)

    def batches(self) -> Iterator[pd.DataFrame]:
        """The finished file, in batches of rows."""
        for batch in pq.ParquetFile(self.output).iter_batches():
            yield batch.to_pandas()


def _reading(settings: OfPrediction) -> str:
    """The settings that decide the pixels of a file; empty for tables."""
    if isinstance(settings, TablePrediction):
        return ""
    dicom = settings.dataset.dicom
    return f"reader {READER}, DICOM window {dicom.centre} {dicom.width}"


def answer(values: np.ndarray, classes: list[str]) -> dict[str, Any]:
    """The columns label and `p_<class>` of a prediction, from probabilities (classes,)."""
    answers = {f"p_{name}": float(value) for name, value in zip(classes, values, strict=True)}
    return {"label": classes[int(values.argmax())], **answers}


def report(scores: Scores, model: Registered, now: int, seconds: float) -> Report:
    """The report on the finished file; this run scored `now` inputs in `seconds`."""
    classes = model.metadata["classes"]
    answers = pd.Series(0, index=classes)
    given = np.zeros(BINS, dtype=int)
    reasons: list[pd.DataFrame] = []
    abstained = pd.Series(0, index=list(REASONS if BECAUSE in scores.more else ()))
    unread = ["label", *scores.more]
    rows = unreadable = 0
    for batch in scores.batches():
        answers = answers.add(batch["label"].value_counts(), fill_value=0)
        best = batch[[f"p_{name}" for name in classes]].max(axis=1).dropna()
        given += np.histogram(best, BINS, (0, 1))[0]
        if BECAUSE in scores.more:
            abstained = abstained.add(batch[BECAUSE].value_counts(), fill_value=0)
        bad = batch[batch["reason"].notna()]
        rows, unreadable = rows + len(batch), unreadable + len(bad)
        if sum(map(len, reasons)) < SHOWN:
            reasons.append(bad.drop(columns=[*unread, *(f"p_{name}" for name in classes)]))
    counted = answers.reindex(classes).astype(int).rename_axis("answer").reset_index(name="rows")
    counted["share"] = counted["rows"] / max(1, counted["rows"].sum())
    withheld = {f"abstained_{name}": float(count) for name, count in abstained.items()}
    return Report(
        scalars={"rows": rows, "unreadable": unreadable, "rows_in_this_run": now} | withheld,
        tables={"answers": counted, "without_an_answer": pd.concat(reasons).head(SHOWN)},
        figures={"answers": pictures.answers(counted, given)},
        facts={
            "model": f"{model.name} version {model.version}, {model.uri}",
            "run of the model": model.run_id,
            "rows": rows,
            "output": scores.output,
            "speed": f"{now / seconds:.1f} a second" if now else "all rows were scored before",
        },
        summary=[
            f"{model.name} version {model.version} scored {rows - unreadable:,} of {rows:,} rows."
            + f" {unreadable:,} could not be read; their reasons are below." * bool(unreadable)
            + f" The model abstains for {sum(withheld.values()):,.0f}." * any(withheld.values())
        ],
        first=("answers", "are frequencies and probabilities of the classes as you expect?"),
    )
