"""Score a CSV file with a registered model: `python -m models +pipeline=predict_<model>`.

Columns are found by name, in any order; columns that are not features are ignored.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
from omegaconf import DictConfig

from conf.errors import UserError
from conf.schema import TablePrediction, typed
from datasets.common.fetching.download import file_sha256
from datasets.common.tables import Contract, json_schema, validated
from datasets.common.tables.csv_reader import Cells, open_csv, require, value_of
from train.common.tracking.load import fetch_sklearn, registered
from train.common.tracking.log import tracked_run
from train.jobs.scoring import Scores, answer, report
from train.jobs.table_common import described

log = logging.getLogger(__name__)


def job(config: DictConfig) -> Path:
    """The Parquet file, one row per record: row, label, probabilities, reason."""
    settings = typed(config, TablePrediction)
    with tracked_run(settings) as run:
        path = Path(settings.predict.input).expanduser().absolute()
        if not path.is_file():
            raise UserError(f"predict.input={str(path)!r} is no file; name a CSV file")
        model = registered(settings, settings.predict.model_uri)
        features = list(model.metadata["schema"]["properties"])
        contract = of_features(described(settings.dataset).CONTRACT, features)
        pipeline, classes = fetch_sklearn(model), model.metadata["classes"]
        given = f"{path}, sha256 {file_sha256(path)}"
        with Scores([pa.field("row", pa.int64())], model, given, settings, run) as scores:
            done, started = scores.rows, time.perf_counter()
            for number, block in blocks(path, features, settings.predict.part_size, done):
                frame, reasons = checked(block, contract)
                rows: list[dict[str, Any]] = [
                    {"row": number + place, "reason": reasons.get(place)}
                    for place in range(len(block))
                ]
                if len(frame):
                    for place, values in zip(
                        frame.index, pipeline.predict_proba(frame), strict=True
                    ):
                        rows[place] |= answer(values, classes)
                scores.write(rows)
            if not scores.rows:
                raise UserError(f"predict.input={path} has a header and no rows: nothing to score")
            now = scores.rows - done
            scores.close()
            run.log_report(report(scores, model, now, time.perf_counter() - started))
        log.info("%s: scored %d rows in this run, %d in all", scores.output, now, now + done)
        return scores.output


def blocks(
    path: Path, features: list[str], size: int, skip: int
) -> Iterator[tuple[int, list[Cells | str]]]:
    """Blocks of `size` rows after the first `skip`, with the number of their first row, from 1.

    A row is its cells of `features`, or the reason why it cannot be read. Raises `UserError` as
    `open_csv` does, and for a feature that is not exactly one column.
    """
    with open_csv(path, "scoring") as (names, lines):
        require(features, names, str(path))
        places = [names.index(name) for name in features]
        rows, number = islice(lines, skip, None), skip + 1
        while block := list(islice(rows, size)):
            yield number, [r if isinstance(r, str) else [r[p] for p in places] for r in block]
            number += len(block)


def checked(block: list[Cells | str], contract: Contract) -> tuple[pd.DataFrame, dict[int, str]]:
    """Valid rows, typed, by position in `block`, and the reasons why other rows are invalid."""
    names = list(contract.columns.columns)
    reasons = {place: row for place, row in enumerate(block) if isinstance(row, str)}
    known = {
        place: [value_of(cell) for cell in row]
        for place, row in enumerate(block)
        if not isinstance(row, str)
    }
    frame = pd.DataFrame.from_dict(known, orient="index", columns=names, dtype=object)
    if frame.empty:
        return frame, reasons
    try:
        good = [validated(frame, contract)]
    except UserError:  # then each row alone, to find the invalid ones
        good = []
        for place in frame.index:
            try:
                good.append(validated(frame.loc[[place]], contract))
            except UserError as error:
                reasons[place] = str(error).replace(", row 1:", ":").replace("\n", "; ")
    if not good:
        return frame.head(0), reasons
    properties = json_schema(contract, names)["properties"].items()
    numbers = {
        n: np.float64 for n, p in properties if "enum" not in p and "string" not in p["type"]
    }
    return pd.concat(good).astype(numbers), reasons


def of_features(contract: Contract, features: list[str]) -> Contract:
    """`contract` for a table that has only `features`."""
    known = contract.columns.columns
    if absent := [name for name in features if name not in known]:
        raise UserError(
            f"the model takes {absent[0]}, which is no column of the dataset any more: train anew"
        )
    return replace(contract, columns=pandera.DataFrameSchema({n: known[n] for n in features}))
