"""Near-duplicates across official splits, from the command line to the report."""

from pathlib import Path

import pytest

from tests.train.conftest import SMALL, finish, start

pytestmark = pytest.mark.slow

ALIKE = [
    "+pipeline=train_mobilenetv2ft",
    *SMALL,
    "dataset.hash_distance=40",
    "fit.finetune.epochs=1",
]
"""So coarse a measure that drawn images are near-duplicates of each other, across the splits."""


def test_they_stop_a_run_that_does_not_allow_them(server: str, tmp_path: Path) -> None:
    status, output = finish(start(server, tmp_path, *ALIKE, "env.enforce_gate=true"))
    assert status == 1 and "Traceback" not in output
    assert "test images among them" in output
    assert "split.by=cluster" in output and "split.allow_crossing=true" in output
    page = (tmp_path / "outputs" / "report.html").read_text()
    assert "The step gate failed" in page and "test images among them" in page


def test_the_report_says_that_they_were_accepted(server: str, tmp_path: Path) -> None:
    accepted = ["env.enforce_gate=true", "split.allow_crossing=true"]
    status, output = finish(start(server, tmp_path, *ALIKE, *accepted))
    assert status == 0, output
    page = (tmp_path / "outputs" / "report.html").read_text()
    assert "the figures are optimistic" in page
    assert "accepted by split.allow_crossing=true" in page
