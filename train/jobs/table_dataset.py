"""Build, verify and report a table, and write it: `python -m datasets +pipeline=dataset_<name>`."""

import numpy as np
import pyarrow as pa
from omegaconf import DictConfig

from conf.schema import TableDatasetJob, typed
from train.common.data.types import Report
from train.common.evaluation import words
from train.common.tracking.log import tracked_run
from train.jobs import pictures
from train.jobs.table_common import counts, facts, reasons, verified


def job(config: DictConfig) -> Report:
    """Write the verified rows to `<settings.table>.parquet`, with class names, and a report."""
    settings = typed(config, TableDatasetJob)
    with tracked_run(settings) as run:
        table = verified(settings, run)
        names = np.array(table.classes)
        rows = table.frame.assign(label=names[table.frame["label"]])
        written = pa.Table.from_pandas(rows, preserve_index=False)
        known = {"dataset": table.name, "version": settings.version, "digest": table.digest}
        run.log_parquet(
            written.replace_schema_metadata(written.schema.metadata | known), settings.table
        )
        counted = counts(table)
        report = Report(
            scalars={"rows": len(table.frame), "quarantined": len(table.quarantined)},
            tables={
                "class_balance": counted,
                "left_out": reasons(table),
                "columns": rows.describe(include="all").T.rename_axis("column").reset_index(),
            },
            figures={"class_balance": pictures.bars(counted, "class", "rows")},
            facts={"table": f"{settings.table}.parquet"} | facts(table, settings),
            notes=words.drawn(settings.dataset),
            summary=[
                words.balance(counted, "rows", words.titles(settings.dataset)),
                f"{len(table.quarantined)} rows are left out.",
            ],
        )
        run.log_report(report)
        return report
