"""A Parquet file made part by part: nothing twice, nothing lost, nothing mixed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import DictConfig, OmegaConf

from conf.errors import UserError
from datasets.common.images import Verdict, Window, score_files
from tests.common import ROOT, configuration
from tests.datasets.odd_files import REASONS, lay
from train.common.evaluation.report import render
from train.common.tracking.load import Registered
from train.common.tracking.log import Run
from train.jobs.image_prediction import (
    frames,
    listed,
    modified,
    row,
    unscored,
    window_of,
)
from train.jobs.scoring import Scores, report

MODEL = Registered("net-frames", "3", "models:/net-frames/3", "a" * 32, {"classes": ["x", "y"]}, {})
KEYS = [pa.field("file", pa.string())]


@pytest.fixture
def config(server: str, tmp_path: Path) -> Iterator[Any]:
    mlflow.set_tracking_uri(server)
    yield configuration(
        "+pipeline=predict_resnet50v2ft", f"predict.input={tmp_path}/in",
        f"predict.output={tmp_path}/new/x.parquet",
    )  # fmt: skip
    mlflow.set_tracking_uri("")


def rows(*files: str) -> list[dict]:
    return [{"file": file, "label": "x", "p_x": 0.75, "p_y": 0.25} for file in files]


def scores(config: Any, model: Registered = MODEL, given: str = "in") -> Scores:
    return Scores(KEYS, model, given, config, Run(config))


def test_parts_become_one_file_that_says_which_model_answered(config: Any) -> None:
    with scores(config) as made:
        made.write(rows("a", "b"))
        made.write([{"file": "c", "reason": "empty file"}])
        assert not made.output.exists()
        made.close()
    table = pq.read_table(made.output)
    assert table.column_names == ["file", "label", "p_x", "p_y", "reason"]
    assert table["file"].to_pylist() == ["a", "b", "c"]
    assert table["p_x"].to_pylist() == [0.75, 0.75, None]
    assert table["reason"].to_pylist() == [None, None, "empty file"]
    known = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert known["model_uri"] == MODEL.uri
    assert (known["model_version"], known["run_id"]) == ("3", MODEL.run_id)
    assert list(made.output.parent.iterdir()) == [made.output]


def test_what_is_whole_is_kept_and_what_is_not_is_scored_again(config: Any) -> None:
    with scores(config) as killed:
        killed.write(rows("a", "b"))
        (killed.parts / ".draft-0123-000001.parquet").write_bytes(b"PAR1 cut off")
        (killed.output.parent / ".draft-0123-x.parquet").write_bytes(b"PAR1 cut off")
    with scores(config) as again:
        assert again.rows == 2 and again.known("file") == {("a",), ("b",)}
        again.write(rows("c"))
        again.close()
    assert pq.read_table(again.output)["file"].to_pylist() == ["a", "b", "c"]
    assert list(again.output.parent.iterdir()) == [again.output]


@pytest.mark.parametrize("torn", [0, 1, 4, 100, -8, -1, "middle", "garbage"])
def test_a_torn_part_and_those_behind_it_are_scored_again(
    config: Any, torn: int | str, caplog: pytest.LogCaptureFixture
) -> None:
    with scores(config) as made:
        for name in "abcd":
            made.write(rows(name))
        path = made.parts / "000001.parquet"
    content = path.read_bytes()
    place = content.index(b"b")
    damaged = content[:place] + b"?" + content[place + 1 :]
    kinds = {"middle": damaged, "garbage": b"x" * 500}
    path.write_bytes(kinds[torn] if isinstance(torn, str) else content[:torn])
    with scores(config) as again:
        assert f"{path} is torn or damaged" in caplog.text
        assert "3 parts from it on are scored again" in caplog.text
        assert again.rows == 1 and again.known("file") == {("a",)}
        again.write(rows("b", "c", "d"))
        again.close()
    assert pq.read_table(again.output)["file"].to_pylist() == ["a", "b", "c", "d"]


HOLD = """
import sys
from tests.train.test_jobs_scoring import rows, scores
from tests.common import ROOT, configuration
config = configuration("+pipeline=predict_resnet50v2ft", *sys.argv[1:])
made = scores(config)
made.write(rows("a"))
print("held", flush=True)
sys.stdin.readline()
made.write(rows("b"))
made.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("ends", ["well", "killed"])
def test_a_second_run_to_one_file_is_told_of_the_first(
    config: Any, tmp_path: Path, ends: str
) -> None:
    given = [f"predict.input={config.predict.input}", f"predict.output={config.predict.output}"]
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, *given],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert first.stdout is not None and first.stdout.readline() == "held\n"
    with pytest.raises(UserError, match=rf"predict\.output=.* in use by process {first.pid} on"):
        scores(config)
    if ends == "killed":
        first.kill()
        first.wait()
    first.communicate("\n" if ends == "well" else None, timeout=60)
    with scores(config) as second:
        expected = {("a",), ("b",)} if ends == "well" else {("a",)}
        assert second.known("file") == expected
        second.close()


def test_answers_window_of_another_window_are_not_mixed(config: Any) -> None:
    with scores(config) as made:
        made.write(rows("a"))
    other = configuration(
        "+pipeline=predict_resnet50v2ft", f"predict.input={config.predict.input}",
        f"predict.output={config.predict.output}", "dataset.dicom.centre=40",
        "dataset.dicom.width=400",
    )  # fmt: skip
    with pytest.raises(UserError, match=r"reading .*None None, and this run has .*40\.0 400\.0"):
        scores(other)


def test_a_kill_between_file_and_parts_loses_and_repeats_nothing(config: Any) -> None:
    made = scores(config)
    made.write(rows("a"))
    part = (made.parts / "000000.parquet").read_bytes()
    with made:
        made.close()
    made.parts.mkdir()
    (made.parts / "000000.parquet").write_bytes(part)  # the kill came before they were removed
    with scores(config) as again:
        assert again.rows == 1
        again.close()
    assert pq.read_table(again.output)["file"].to_pylist() == ["a"]


def test_later_input_is_added_to_a_finished_file(config: Any) -> None:
    for name in ("a", "b"):
        with scores(config) as made:
            made.write(rows(name))
            made.close()
    assert pq.read_table(made.output)["file"].to_pylist() == ["a", "b"]


@pytest.mark.parametrize("finished", [False, True])
def test_answers_of_two_models_or_inputs_are_not_mixed(config: Any, finished: bool) -> None:
    with scores(config) as made:
        made.write(rows("a"))
        if finished:
            made.close()
    with pytest.raises(UserError, match=r"model_version 3, and this run has 4.*predict\.model_uri"):
        scores(config, replace(MODEL, version="4"))
    with pytest.raises(UserError, match=r"input in, and this run has other.*predict\.output"):
        scores(config, given="other")
    assert scores(config).rows == 1


def test_another_file_is_never_overwritten(config: Any) -> None:
    output = Path(config.predict.output)
    output.parent.mkdir()
    output.write_text("my notes")
    with pytest.raises(UserError, match=r"holds predictions with model_name nothing known"):
        scores(config)
    assert output.read_text() == "my notes"


def test_an_output_that_is_a_folder_or_below_a_file_is_named(config: Any, tmp_path: Path) -> None:
    Path(config.predict.output).mkdir(parents=True)
    with pytest.raises(UserError, match=r"is a folder; name a file in it"):
        scores(config)
    (tmp_path / "file").write_text("")
    below = configuration(
        "+pipeline=predict_resnet50v2ft", "predict.input=in",
        f"predict.output={tmp_path}/file/x.parquet",
    )  # fmt: skip
    with pytest.raises(UserError, match=r"cannot be written: .*/file is no folder"):
        scores(below)


def test_odd_files_are_rows_with_a_reason_in_file_and_report(config: Any, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    names = lay(folder)
    made, rest = scores(config), listed(folder, Path(config.predict.output))

    def predict(_pixels: np.ndarray) -> tuple[np.ndarray, list[Verdict]]:
        raise AssertionError("no file has pixels, so no model is asked")

    found = score_files(rest, lambda path: frames(path, 8, Window(), 10**6), predict)
    made.write([row(each, folder, ["x", "y"]) for each in found])
    assert {file for (file,) in made.known("file")} == names
    made.close()
    table = pq.read_table(made.output).to_pandas().set_index("file")
    assert set(table.index) == names
    for name, reason in REASONS.items():
        assert reason in table.loc[name, "reason"]
    told = report(made, MODEL, len(rest), 1.0)
    page = render("title", {}, "", told, {}, {})
    page.encode("utf-8")
    assert "p\\xf3lipo.png" in page
    mlflow.log_text(page, "report.html")
    mlflow.end_run()


def test_the_window_is_that_of_the_training(config: Any, caplog: pytest.LogCaptureFixture) -> None:
    merged = OmegaConf.merge(config, {"dataset": {"dicom": {"centre": 40, "width": 400}}})
    assert isinstance(merged, DictConfig)
    config = merged
    assert window_of(MODEL, config) == Window(40, 400)  # an old model says nothing
    assert not caplog.records
    for known in ([], [600.0, 2000.0]):
        model = replace(MODEL, metadata={"dicom_window": known})
        assert window_of(model, config) == Window(*known)
        assert "the DICOM window of the training is used" in caplog.text
        caplog.clear()


def test_a_folder_without_files_is_no_input(tmp_path: Path) -> None:
    output = tmp_path / "x.parquet"
    with pytest.raises(UserError, match=r"is no folder; name one with images"):
        listed(tmp_path / "none", output)
    folder = tmp_path / "in"
    (folder / ".hidden").mkdir(parents=True)
    (folder / ".hidden" / "a.jpg").write_bytes(b"x")
    with pytest.raises(UserError, match="holds no file"):
        listed(folder, output)
    (folder / "b.jpg").write_bytes(b"x")
    assert listed(folder, output) == [folder / "b.jpg"]
    with pytest.raises(UserError, match=r"lies in predict\.input"):
        listed(folder, folder / "x.parquet")


def test_a_file_that_was_changed_after_it_was_scored_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"first")
    known = {"a.png": modified(path)}
    assert unscored([path], tmp_path, known, tmp_path / "x.parquet") == []
    assert unscored([path], tmp_path, {}, tmp_path / "x.parquet") == [path]
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1000))
    with pytest.raises(UserError, match=r"a\.png was changed after it was scored.*predict\.output"):
        unscored([path], tmp_path, known, tmp_path / "x.parquet")


def test_the_time_of_a_change_survives_the_file_of_answers(config: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"first")
    columns = [*KEYS, pa.field("modified", pa.timestamp("us", "UTC"))]
    with Scores(columns, MODEL, "in", config, Run(config)) as made:
        for number in range(50):
            os.utime(path, ns=(1, 1_700_000_000_123_456_789 + 7919 * number))
            made.write([{"file": f"{number}", "modified": modified(path)}])
            assert (f"{number}", modified(path)) in made.known("file", "modified")
