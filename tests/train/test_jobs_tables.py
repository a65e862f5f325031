"""The jobs around training on a table: leaks are flagged, every row is answered or refused."""

import re
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from conf.errors import UserError
from datasets.treesurvival.common import CONTRACT
from datasets.treesurvival.synthetic import draw
from tests.common import configuration
from tests.train.conftest import finish, start
from train.common.data.tables import as_floats
from train.common.tracking.load import fetch_sklearn, registered
from train.jobs import table_dataset_study
from train.jobs.table_common import described
from train.jobs.table_prediction import blocks, checked, of_features

FEATURES = ["Species", "Light_ISF", "EMF"]
TINY_TABLE = [
    "+pipeline=train_treesurvival", "env=development", "dataset.sample_rows=400",
    "metrics.folds=0", "metrics.bootstrap=20", "fit.candidates=1", "fit.workers=1",
    "model.estimator=extra_trees",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def client(server: str) -> Iterator[mlflow.MlflowClient]:
    mlflow.set_tracking_uri(server)
    yield mlflow.MlflowClient(server)
    mlflow.set_tracking_uri("")


@pytest.fixture(scope="module")
def trained(server: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """URI of a model of the generated table."""
    status, output = finish(start(server, tmp_path_factory.mktemp("table"), *TINY_TABLE))
    assert status == 0, output
    started = re.search(r"MLflow run (\w+) of experiment", output)
    assert started
    return f"runs:/{started[1]}/serving"


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_columns_are_found_by_name_and_rows_come_in_blocks(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv", ["EMF,No,Species,Light_ISF", "1,7,x,0.1", "", "2,8,y,0.2", "3"]
    )
    found = list(blocks(path, FEATURES, 2, 0))
    assert [number for number, _ in found] == [1, 3]
    assert found[0][1] == [["x", "0.1", "1"], ["y", "0.2", "2"]]
    assert found[1][1] == ["1 cells, and the header has 4"]
    assert [number for number, _ in blocks(path, FEATURES, 2, 2)] == [3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Species,EMF\n", r"has no column Light_ISF \(expected, in any order: Species, Light_ISF"),
        (b"Species,EMF,Light_ISF,EMF\n", r"has the column 'EMF' twice"),
        (b"", r"is empty: expected a first row of column names"),
        (b"Species,EMF,Light_ISF\n\xff\xfe,1,2\n", r"is not UTF-8 text \(byte 22 is 0xff\)"),
        (b'Species,EMF,Light_ISF\n"a,1,2\n', r"is not CSV \(line 2\)"),
    ],
)
def test_a_file_that_cannot_be_scored_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(blocks(path, FEATURES, 2, 0))


def test_a_bad_row_has_a_reason_and_the_others_their_types() -> None:
    rows: list[list[str] | str] = [
        ["Quercus alba", "0.1", "NA"],
        ["Baobab", "0.1", "1"],
        "2 cells, and the header has 3",
        ["Acer saccharum", "bright", "1"],
        ["Acer saccharum", "", "1"],
        ["Acer saccharum", "0.2", "30"],
    ]
    frame, reasons = checked(rows, of_features(CONTRACT, FEATURES))
    assert frame.index.tolist() == [0, 5]
    assert frame["Light_ISF"].tolist() == [0.1, 0.2]
    assert frame["EMF"].dtype == np.float64 and np.isnan(frame.loc[0, "EMF"])
    assert sorted(reasons) == [1, 2, 3, 4]
    assert "Baobab" in reasons[1] and "bright" in reasons[3] and "no value" in reasons[4]
    assert "row 1" not in "".join(reasons.values())


def test_time_is_flagged_when_it_is_offered(tmp_path: Path) -> None:
    config = configuration(
        "+pipeline=study_treesurvival", "dataset.sample_rows=400", "probes.bootstrap=10"
    )
    from datasets.treesurvival.dataset import build

    table = as_floats(build(config.dataset, tmp_path))
    offered = table_dataset_study.everything(table, config)
    assert (offered["No"].to_numpy() == table.frame["row"].to_numpy()).all()
    found, notes = table_dataset_study.leaks(offered, table, config)
    by = found.set_index(["probe", "validated"])
    assert by.loc[("Time", "by group"), "value"] > 0.95
    assert by.loc[("No", "by group"), "low"] < 0.6
    assert set(found["probe"]) == {
        *described(config.dataset).CONTRACT.columns.columns,
        "the features together",
    }
    assert any(note.startswith("Time alone tells the outcome") for note in notes)
    assert not any(note.startswith(("Species", "Light_ISF")) for note in notes)


@pytest.mark.slow
def test_a_table_is_written_under_its_name_and_studied(server: str, tmp_path: Path) -> None:
    given = ["+pipeline=dataset_treesurvival", "dataset.sample_rows=300"]
    status, output = finish(start(server, tmp_path, *given, entry="datasets"))
    assert status == 0, output
    written = pq.read_table(tmp_path / "outputs" / "treesurvival_dataset_v1.parquet")
    assert set(written["label"].to_pylist()) == {"survived", "not_survived"}
    assert len(written.schema.metadata[b"digest"]) == 64
    given = ["+pipeline=study_treesurvival", "dataset.sample_rows=300", "probes.bootstrap=5"]
    status, output = finish(start(server, tmp_path / "study", *given, entry="datasets"))
    assert status == 0, output
    page = (tmp_path / "study" / "outputs" / "report.html").read_text()
    assert "Time alone tells the outcome" in page and "Missing values" in page


@pytest.mark.slow
def test_a_model_of_a_table_is_studied_on_validation_rows(
    server: str, trained: str, tmp_path: Path
) -> None:
    given = [
        "+pipeline=study_treesurvival_model", f"study.model_uri={trained}",
        "dataset.sample_rows=400", "study.permutations=2",
    ]  # fmt: skip
    status, output = finish(start(server, tmp_path, *given, entry="models"))
    assert status == 0, output
    page = (tmp_path / "outputs" / "report.html").read_text()
    for text in ("Partial dependence", "Importance", "Calibration", "validation rows"):
        assert text in page


@pytest.mark.slow
def test_every_row_of_a_file_is_answered_or_refused(
    server: str, trained: str, tmp_path: Path
) -> None:
    frame = draw(50, 1)
    frame["Species"] = frame["Species"].where(frame.index != 7, "Baobab")
    frame.sample(frac=1, axis=1, random_state=0).to_csv(tmp_path / "in.csv", index=False)
    given = [
        "+pipeline=predict_treesurvival", f"predict.input={tmp_path}/in.csv",
        f"predict.output={tmp_path}/x.parquet", f"predict.model_uri={trained}",
        "predict.part_size=20",
    ]  # fmt: skip
    status, output = finish(start(server, tmp_path, *given, entry="models"))
    assert status == 0, output
    scored = pq.read_table(tmp_path / "x.parquet").to_pandas()
    assert scored["row"].tolist() == list(range(1, 51))
    assert scored.index[scored["reason"].notna()].tolist() == [7]
    assert "Baobab" in scored.loc[7, "reason"] and pd.isna(scored.loc[7, "label"])
    model = registered(configuration("+pipeline=study_treesurvival_model"), trained)
    inputs = frame.drop(index=7)[list(model.metadata["schema"]["properties"])]
    expected = fetch_sklearn(model).predict_proba(inputs)[:, 1]
    np.testing.assert_allclose(scored["p_not_survived"].dropna(), expected, atol=1e-6)
    status, output = finish(start(server, tmp_path, *given, entry="models"))
    assert status == 0 and "scored 0 rows in this run, 50 in all" in output
