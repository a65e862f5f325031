"""A service of tables, as it is served: rows in, probabilities out, and no pickle on the way."""

import csv
import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests
import skops.io

from datasets.treesurvival.common import CONTRACT
from deploy.serving.http.limits import Limits
from deploy.serving.http.refusals import Refused
from deploy.serving.http.servable import Facts
from deploy.serving.tables.classifier import TRUSTED, TableClassifier
from deploy.serving.tables.schema import Schema
from models.tables import TRUSTED as TRUSTED_IN_TRAINING
from tests.common import ROOT, composed
from tests.deploy.common import counters, names
from tests.deploy.tables import (
    CSV,
    DEPLOYMENT,
    GOOD,
    MODEL,
    TrainedTable,
    body,
    post,
    probabilities,
)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return json.loads(frame.to_json(orient="records"))


def test_the_pipeline_json_csv_and_a_form_give_the_same_probabilities(
    table: TrainedTable, table_service: str
) -> None:
    expected = table.pipeline.predict_proba(table.rows)
    assert np.ptp(expected[:, 1]) > 0.2  # else parity would prove nothing
    assert table.rows["EMF"].isna().any()
    text = table.rows[table.rows.columns[::-1]].to_csv(index=False, na_rep="NA")
    listed = records(table.rows)
    for sent in (
        {"json": {"records": listed}},
        {"json": listed},
        {"data": text.encode(), "headers": CSV},
        {"data": b"\xef\xbb\xbf" + text.encode(), "headers": {"Content-Type": "text/csv; a=b"}},
        {"files": {"file": ("trees.csv", text.replace("\n", "\r\n"))}},
    ):
        np.testing.assert_allclose(probabilities(post(table_service, **sent)), expected, atol=1e-12)


def test_an_answer_names_the_class_its_probabilities_and_the_model(
    table: TrainedTable, table_service: str
) -> None:
    answer = post(table_service, json=[GOOD]).json()
    assert answer["model"] == {"name": MODEL, "version": "1", "run_id": table.run_id}
    assert answer["milliseconds"] > 0
    [row] = answer["predictions"]
    assert list(row["probabilities"]) == ["survived", "not_survived"]
    assert sum(row["probabilities"].values()) == pytest.approx(1)
    assert row["label"] == max(row["probabilities"], key=row["probabilities"].get)


def test_what_may_be_missing_may_be_left_out(table_service: str) -> None:
    without = {name: value for name, value in GOOD.items() if name != "EMF"}
    answers = post(table_service, json=[without, GOOD | {"EMF": None}]).json()["predictions"]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_probes_answer(path: str, table_service: str) -> None:
    assert requests.get(table_service + path).status_code == 200


def test_answers_and_refusals_are_counted(table_service: str) -> None:
    before = counters(table_service)
    label = post(table_service, json=[GOOD, GOOD]).json()["predictions"][0]["label"]
    post(table_service, json=[GOOD | {"Time": 3}])
    after = counters(table_service)
    for name, more in (
        ('sonda_requests_total{status="200"}', 1),
        ('sonda_rejections_total{reason="unknown_column"}', 1),
        (f'sonda_predictions_total{{label="{label}"}}', 2),
    ):
        assert after[name] == before.get(name, 0) + more


def test_the_interface_is_described_with_examples_that_work(table_service: str) -> None:
    document = requests.get(f"{table_service}/docs.json").json()
    assert document["info"]["title"] == MODEL
    record = document["components"]["schemas"]["Record"]
    assert list(record["properties"]) == list(GOOD)
    assert record["required"] == [name for name in GOOD if name != "EMF"]
    operation = document["paths"]["/predict"]["post"]
    assert {"200", "400", "413", "415", "422", "503"} <= set(operation["responses"])
    content = operation["requestBody"]["content"]
    in_json = post(table_service, json=content["application/json"]["example"])
    in_csv = post(table_service, **body(content["text/csv"]["example"], CSV))
    assert in_json.json()["predictions"] == in_csv.json()["predictions"]


@pytest.mark.parametrize("name", ["sample-input.json", "sample-input.csv"])
def test_the_sample_inputs_fit_the_default_features(name: str) -> None:
    path = ROOT / "deploy" / DEPLOYMENT / name
    features = set(composed("+pipeline=train_treesurvival").dataset.features)
    rows = (
        json.loads(path.read_text())["records"]
        if path.suffix == ".json"
        else list(csv.DictReader(io.StringIO(path.read_text())))
    )
    assert len(rows) >= 2
    assert all(set(row) == features for row in rows)


def test_every_feature_has_a_name_and_a_help_in_spanish() -> None:
    words = names(DEPLOYMENT)["LABELS"]["es"]
    for column in CONTRACT.features:
        assert f"{column}_help" in words
        assert column in words or column in ("AMF", "EMF")  # the same in both languages


def test_training_and_service_trust_the_same_types() -> None:
    assert set(TRUSTED) == set(TRUSTED_IN_TRAINING)


def stored(table: TrainedTable, folder: Path, pipeline: Any) -> TableClassifier:
    skops.io.dump(pipeline, folder / "model.skops")
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "number"}}}
    (folder / "MLmodel").write_text(json.dumps({"metadata": {"schema": schema}}))
    facts = Facts(MODEL, "1", table.run_id, ("survived", "not_survived"))
    return TableClassifier(facts, folder, Limits())


def test_a_model_that_wants_to_run_code_never_gets_ready(
    table: TrainedTable, tmp_path: Path
) -> None:
    from sklearn.preprocessing import FunctionTransformer

    classifier = stored(table, tmp_path, FunctionTransformer(subprocess.run))
    classifier.start().join()
    assert classifier.failed and not classifier.ready
    with pytest.raises(skops.io.exceptions.UntrustedTypesFoundException, match="subprocess"):
        classifier.load()


def test_a_model_with_another_schema_never_gets_ready(table: TrainedTable, tmp_path: Path) -> None:
    classifier = stored(table, tmp_path, table.pipeline)
    with pytest.raises(ValueError, match=r"takes the columns Species, .*its schema names a"):
        classifier.load()


def test_a_column_may_have_any_name() -> None:
    names = ["schema", "model_config", "_hidden", "Light (%)", "column_0", ""]
    number = {"type": "number", "minimum": 0, "maximum": 1}
    schema = Schema({"properties": dict.fromkeys(names, number), "required": names})
    assert schema.checked([dict.fromkeys(names, 0.5)]) == [schema.example()]
    for name in names:
        with pytest.raises(Refused, match=re.escape(f"row 1: {name}=2 is not taken")):
            schema.checked([dict.fromkeys(names, 0.5) | {name: 2}])


def test_no_pickle_reaches_the_service(table: TrainedTable, table_service: str) -> None:
    home = Path(table.environment["BENTOML_HOME"])
    [model] = home.rglob("model.skops")
    assert not [p for p in home.rglob("*") if p.suffix in (".pkl", ".pickle", ".joblib")]
    inside = zipfile.ZipFile(model).namelist()
    assert "schema.json" in inside
    assert {Path(name).suffix for name in inside} <= {".json", ".npy"}


def test_the_service_loads_neither_tensorflow_nor_mlflow_nor_openvino(table: TrainedTable) -> None:
    code = (
        "import sys; sys.path.insert(0, '.'); import deploy.serving.tables.service; "
        "print([m for m in ('tensorflow', 'mlflow', 'openvino', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
