"""A job whose disk fills up says so, and keeps what is finished."""

from pathlib import Path

import pytest

from tests.datasets.common import on_a_tiny_disk

FULL_DISK = """
import sys
from pathlib import Path
import pyarrow as pa
from conf.errors import UserError
from tests.common import configuration
from train.jobs.scoring import Scores
from train.common.tracking.load import Registered
from train.common.tracking.log import Run
disk = Path(sys.argv[1])
given = [f"predict.input={disk}", f"predict.output={disk}/x.parquet"]
model = Registered("net", "1", "models:/net/1", "a", {"classes": ["x", "y"]}, {})
config = configuration("+pipeline=predict_resnet50v2ft", *given)
scores = Scores([pa.field("file", pa.string())], model, "in", config, Run(config))
scores.write([{"file": "first"}])
try:
    for part in range(500):
        scores.write([{"file": f"{part} {row} {hash((part, row))}"} for row in range(300)])
except UserError as error:
    assert "the disk is full" in str(error) and "predict.output" in str(error), error
    assert ("first",) in scores.known("file"), "what was scored is lost"
    print("told")
"""


@pytest.mark.slow
def test_a_full_disk_is_named_and_what_is_scored_stays(tmp_path: Path) -> None:
    assert "told" in on_a_tiny_disk(tmp_path / "disk", FULL_DISK)
