"""A Parquet file made part by part: nothing twice, nothing lost, nothing mixed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mlflow
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import DictConfig

from conf.errors import UserError
from datasets.common.images import Window
from tests.common import composed
from tests.datasets.odd_files import REASONS, lay
from train.common.jobs.image_prediction import answers, images, listed, seen_through
from train.common.jobs.scoring import Scores, report
from train.common.registry import Registered
from train.common.report import render

MODEL = Registered("net-frames", "3", "models:/net-frames/3", "a" * 32, {"classes": ["x", "y"]}, {})
KEYS = [pa.field("file", pa.string())]


@pytest.fixture
def config(server: str, tmp_path: Path) -> Iterator[DictConfig]:
    mlflow.set_tracking_uri(server)
    yield composed(
        "+pipeline=predict_resnet50v2ft", f"predict.input={tmp_path}/in",
        f"predict.output={tmp_path}/new/x.parquet",
    )  # fmt: skip
    mlflow.set_tracking_uri("")


def rows(*files: str) -> list[dict]:
    return [{"file": file, "label": "x", "p_x": 0.75, "p_y": 0.25} for file in files]


def scores(config: DictConfig, model: Registered = MODEL, given: str = "in") -> Scores:
    return Scores(KEYS, model, given, config)


def test_parts_become_one_file_that_says_which_model_answered(config: DictConfig) -> None:
    made = scores(config)
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


def test_what_is_whole_is_kept_and_what_is_not_is_scored_again(config: DictConfig) -> None:
    killed = scores(config)
    killed.write(rows("a", "b"))
    (killed.parts / "000001.parquet.partial").write_bytes(b"PAR1 cut off")
    again = scores(config)
    assert again.rows == 2 and again.known("file") == {"a", "b"}
    again.write(rows("c"))
    again.close()
    assert pq.read_table(again.output)["file"].to_pylist() == ["a", "b", "c"]


def test_a_kill_between_file_and_parts_loses_and_repeats_nothing(config: DictConfig) -> None:
    made = scores(config)
    made.write(rows("a"))
    part = (made.parts / "000000.parquet").read_bytes()
    made.close()
    made.parts.mkdir()
    (made.parts / "000000.parquet").write_bytes(part)  # the kill came before they were removed
    again = scores(config)
    assert again.rows == 1
    again.close()
    assert pq.read_table(again.output)["file"].to_pylist() == ["a"]


def test_later_input_is_added_to_a_finished_file(config: DictConfig) -> None:
    for name in ("a", "b"):
        made = scores(config)
        made.write(rows(name))
        made.close()
    assert pq.read_table(made.output)["file"].to_pylist() == ["a", "b"]


@pytest.mark.parametrize("finished", [False, True])
def test_answers_of_two_models_or_inputs_are_not_mixed(config: DictConfig, finished: bool) -> None:
    made = scores(config)
    made.write(rows("a"))
    if finished:
        made.close()
    with pytest.raises(UserError, match=r"model_version 3, and this run has 4.*predict\.model_uri"):
        scores(config, replace(MODEL, version="4"))
    with pytest.raises(UserError, match=r"input in, and this run has other.*predict\.output"):
        scores(config, given="other")
    assert scores(config).rows == 1


def test_another_file_is_never_overwritten(config: DictConfig) -> None:
    output = Path(config.predict.output)
    output.parent.mkdir()
    output.write_text("my notes")
    with pytest.raises(UserError, match=r"holds answers with model_name nothing known"):
        scores(config)
    assert output.read_text() == "my notes"


def test_an_output_that_is_a_folder_or_below_a_file_is_named(
    config: DictConfig, tmp_path: Path
) -> None:
    Path(config.predict.output).mkdir(parents=True)
    with pytest.raises(UserError, match=r"is a folder; name a file in it"):
        scores(config)
    (tmp_path / "file").write_text("")
    below = composed(
        "+pipeline=predict_resnet50v2ft", "predict.input=in",
        f"predict.output={tmp_path}/file/x.parquet",
    )  # fmt: skip
    with pytest.raises(UserError, match=r"cannot be written: Not a directory"):
        scores(below)


def test_odd_files_are_rows_with_a_reason_in_file_and_report(
    config: DictConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    names = lay(folder)
    made, rest = scores(config), listed(folder, Path(config.predict.output))
    seen = [row for path in rest for row in images(path, 8, Window(), 10**6)]
    made.write(answers(seen, folder, None, ["x", "y"]))  # no pixels, so no model is asked
    assert made.known("file") == names
    made.close()
    table = pq.read_table(made.output).to_pandas().set_index("file")
    assert set(table.index) == names
    for name, reason in REASONS.items():
        assert reason in table.loc[name, "reason"]
    told = report(made, MODEL, len(rest), 1.0)
    page = render("title", {}, "", told)
    page.encode("utf-8")
    assert "p\\xf3lipo.png" in page
    mlflow.log_text(page, "report.html")
    mlflow.end_run()


def test_the_window_is_that_of_the_training(
    config: DictConfig, caplog: pytest.LogCaptureFixture
) -> None:
    config.dataset.dicom.centre, config.dataset.dicom.width = 40, 400
    assert seen_through(MODEL, config) == Window(40, 400)  # an old model says nothing
    assert not caplog.records
    for known in ([], [600.0, 2000.0]):
        model = replace(MODEL, metadata={"dicom_window": known})
        assert seen_through(model, config) == Window(*known)
        assert "the window of the training" in caplog.text
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
