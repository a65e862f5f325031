"""The rows of {{cookiecutter.dataset}}; what holds for every table is in test_every_table.py."""

from pathlib import Path

from datasets.{{cookiecutter.dataset}}.dataset import build
from datasets.{{cookiecutter.dataset}}.synthetic import draw
from tests.common import part


def test_a_row_without_outcome_is_left_out_and_says_so(tmp_path: Path) -> None:
    frame = draw(60, seed=0)
    frame["Outcome"] = [0.0, 1.0] * 30
    frame.loc[3, "Outcome"] = None
    frame.to_csv(tmp_path / "a.csv", index=False)
    source = ("dataset.source=directory", f"dataset.path={tmp_path / 'a.csv'}")
    table = build(part("dataset", "{{cookiecutter.dataset}}", *source), tmp_path)
    assert len(table.frame) == 59
    assert table.quarantined.to_dict("records") == [{"row": 4, "reason": "Outcome is empty"}]
