"""Build, verify and report a table, and write it: `python -m datasets +pipeline=dataset_<name>`."""

import numpy as np
import pyarrow as pa
from omegaconf import DictConfig

from train.common.data.types import Report
from train.common.evaluation import words
from train.common.tracking.log import log_parquet, log_report, tracked
from train.jobs import pictures
from train.jobs.table_common import counts, facts, reasons, verified


@tracked
def run(config: DictConfig) -> Report:
    """The verified rows as `<config.table>.parquet`, classes by name, and a report."""
    table = verified(config)
    names = np.array(table.classes)
    rows = table.frame.assign(label=names[table.frame["label"]])
    written = pa.Table.from_pandas(rows, preserve_index=False)
    known = {"dataset": table.name, "version": config.version, "digest": table.digest}
    log_parquet(written.replace_schema_metadata(written.schema.metadata | known), config.table)
    counted = counts(table)
    report = Report(
        scalars={"rows": len(table.frame), "quarantined": len(table.quarantined)},
        tables={
            "class_balance": counted,
            "left_out": reasons(table),
            "columns": rows.describe(include="all").T.rename_axis("column").reset_index(),
        },
        figures={"class_balance": pictures.bars(counted, "class", "rows")},
        facts={"table": f"{config.table}.parquet"} | facts(table, config),
        notes=words.drawn(config),
        summary=[
            words.balance(counted, "rows", words.titles(config.dataset)),
            f"{len(table.quarantined)} rows are left out.",
        ],
    )
    log_report(report, config)
    return report
