"""A table from file to registered model: the steps alone, and the whole pipeline on the sample."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Run

from conf.errors import UserError
from datasets.common.tables import Table
from tests.common import ROOT, configuration
from tests.train.conftest import finish, start
from tests.train.tables import searched, split_sample
from train.common.data.split import split_table
from train.common.data.tables import features
from train.common.data.types import Splits, TrainedPipeline
from train.common.evaluation.nested import OVERALL
from train.common.evaluation.tables import by_group, evaluate, importances
from train.common.fitting.search import cross_validated
from train.common.tracking.cards import check_card
from train.common.tracking.load import FoldRun
from train.common.tracking.promotion import evidence_of

QUICK = [
    "+pipeline=train_treesurvival",
    "env=development",
    "model.estimator=logistic_regression",
    "dataset.sample_rows=400",
    "dataset.features=[Species,Light_ISF,Core,Soil,EMF,Lignin]",
    "fit.candidates=2",
    "fit.folds=2",
    "fit.workers=1",
    "metrics.folds=3",
    "metrics.bootstrap=30",
    "metrics.permutations=2",
]
"""The whole pipeline on 400 generated rows, with a column that may be empty."""
MODEL = "treesurvival-treesurvival"


@pytest.fixture(scope="module")
def config() -> Any:
    return configuration(*QUICK)


@pytest.fixture(scope="module")
def splits(config: Any) -> Splits[Table]:
    return split_sample(config)


@pytest.fixture(scope="module")
def fitted(config: Any, splits: Splits[Table]) -> TrainedPipeline:
    return searched(splits, config)


def test_no_plot_is_in_two_splits_and_every_row_is_in_one(splits: Splits[Table]) -> None:
    parts = [splits.train, splits.validation, splits.test]
    assert sorted(np.concatenate(parts)) == list(range(len(splits.data.frame)))
    groups = [set(splits.groups(part)) for part in parts]
    assert not groups[0] & groups[1] | groups[1] & groups[2] | groups[0] & groups[2]
    assert all(len(set(splits.labels(part))) == 2 for part in parts)
    table = splits.table()
    assert table["split"].value_counts().to_dict() == {
        name: len(part) for name, part in zip(("train", "validation", "test"), parts, strict=True)
    }
    assert table["row"].is_unique


def test_another_seed_splits_otherwise_and_the_digest_tells(config: Any, splits: Splits) -> None:
    assert split_table(splits.data, config.split).digest == splits.digest
    other = configuration(*QUICK, "split.seed=1")
    assert split_table(splits.data, other.split).digest != splits.digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("split.test=0", "must be positive and leave something to train on"),
        ("split.test=0.01", r"class survived has rows in 18 values of Plot and 100 are needed"),
    ],
)
def test_a_split_that_cannot_be_made_says_why(change: str, message: str, splits: Splits) -> None:
    with pytest.raises(UserError, match=message):
        split_table(splits.data, configuration(*QUICK, change).split)


@pytest.mark.parametrize("folds", [1, 99])
def test_a_search_needs_folds_that_exist(folds: int, splits: Splits[Table]) -> None:
    with pytest.raises(UserError, match=rf"fit\.folds={folds}: set two or more, .* of Plot in"):
        searched(splits, configuration(*QUICK, f"fit.folds={folds}"))


def test_the_search_sees_train_alone(
    config: Any, splits: Splits[Table], fitted: TrainedPipeline
) -> None:
    frame = splits.data.frame.copy()
    hidden = np.concatenate([splits.validation, splits.test])
    frame.loc[hidden, "Light_ISF"] = 0.9
    frame.loc[hidden, "label"] = 1 - frame.loc[hidden, "label"]
    changed = replace(splits, data=replace(splits.data, frame=frame))
    again = searched(changed, config)
    rows = features(splits, splits.test)
    np.testing.assert_array_equal(again.model.predict_proba(rows), fitted.model.predict_proba(rows))
    assert fitted.candidates["score"].is_monotonic_decreasing
    columns = ["estimator", "settings", "score", "spread", "seconds"]
    assert fitted.candidates.columns.tolist() == columns
    assert fitted.candidates["settings"].str.fullmatch(r"C=[\d.]+").all()


def test_out_of_fold_answers_know_nothing_of_their_own_plot(
    splits: Splits[Table], fitted: TrainedPipeline
) -> None:
    before = cross_validated(fitted, splits, 3, 0).held_out
    np.testing.assert_allclose(before.sum(axis=1), 1)
    frame = splits.data.frame.copy()
    own = frame["group"] == frame["group"].iloc[0]
    frame.loc[own, "label"] = 1 - frame.loc[own, "label"]
    changed = replace(splits, data=replace(splits.data, frame=frame))
    after = cross_validated(fitted, changed, 3, 0).held_out
    np.testing.assert_array_equal(before[own], after[own])
    assert not np.allclose(before[~own], after[~own])


def test_what_decides_is_the_most_important(
    config: Any, splits: Splits[Table], fitted: TrainedPipeline
) -> None:
    table = importances(
        fitted.model, features(splits, splits.validation), splits.labels(splits.validation),
        config.metrics.permutations, config.seed,
    )  # fmt: skip
    assert set(table["feature"]) == set(splits.data.features)
    assert table["importance"].is_monotonic_decreasing
    worth = table.set_index("feature")["importance"]
    assert worth["Species"] > worth["Core"]


def test_groups_are_told_one_by_one() -> None:
    labels, groups = np.array([0, 1, 1, 1]), np.array([3, 3, 3, 8])
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]])
    table = by_group(labels, probabilities, groups, ("no", "yes"))
    assert table["group"].tolist() == [3, 8] and table["rows"].tolist() == [3, 1]
    assert table["share yes"].tolist() == [2 / 3, 1]
    assert table["mean probability"].tolist() == pytest.approx([0.5, 0.7])
    assert table["roc_auc"].iloc[0] == 1 and np.isnan(table["roc_auc"].iloc[1])


def test_the_report_warns_of_few_plots_and_of_unknown_outcomes(
    splits: Splits[Table], fitted: TrainedPipeline
) -> None:
    report = evaluate(fitted, splits, configuration(*QUICK, "metrics.folds=0"), None, OVERALL, {})
    count = len(set(splits.groups(splits.test)))
    assert any(f"Only {count} independent values of Plot" in note for note in report.notes)
    unknown = len(splits.data.quarantined)
    assert any(f"{unknown} rows whose outcome is not known" in note for note in report.notes)
    assert not any(name.startswith("cv_") for name in report.scalars)


def test_a_pipeline_of_tables_needs_no_tensorflow() -> None:
    code = (
        "import importlib, sys; "
        "importlib.import_module('train.treesurvival-treesurvival_v1.pipeline'); "
        "assert 'tensorflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def client(server: str) -> mlflow.MlflowClient:
    mlflow.set_tracking_uri(server)
    return mlflow.MlflowClient(server)


@pytest.fixture(scope="module")
def run(server: str, client: mlflow.MlflowClient, tmp_path_factory: pytest.TempPathFactory) -> Run:
    status, output = finish(
        start(server, tmp_path_factory.mktemp("trees"), *QUICK, "env.promotion=automatic")
    )
    assert status == 0, output
    started = re.search(r"MLflow run (\w+) of experiment treesurvival/treesurvival", output)
    assert started, output
    return client.get_run(started[1])


def artifact(run: Run, path: str) -> Path:
    return Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=path))


def test_the_run_is_finished_and_says_what_it_did(run: Run) -> None:
    assert run.info.status == "FINISHED"
    assert run.data.tags["pipeline"] == "train_treesurvival"
    assert len(run.data.tags["data_digest"]) == 64
    assert run.data.params["model.estimator"] == "logistic_regression"
    assert run.data.params["fit.candidates"] == "2"
    names = ["roc_auc_macro", "average_precision_macro", "brier", "log_loss", "recall_not_survived"]
    for name in [f"{of}_{name}" for of in ("test", "cv") for name in names]:
        low, value, high = (run.data.metrics[f"{name}{end}"] for end in ("_low", "", "_high"))
        assert low <= value <= high, name
    assert run.data.metrics["cv_roc_auc_macro"] > 0.7


def test_test_metrics_agree_with_the_logged_predictions(run: Run) -> None:
    predictions = pd.read_csv(artifact(run, "tables/predictions.csv"))
    splits = pd.read_csv(artifact(run, "data/splits.csv"))
    assert set(predictions["row"]) == set(splits.loc[splits["split"] == "test", "row"])
    right = (predictions["label"] == predictions["answer"]).mean()
    assert run.data.metrics["test_accuracy"] == pytest.approx(right)
    died = (predictions["label"] == "not_survived").astype(float)
    brier = ((predictions["not_survived"] - died) ** 2).mean()
    assert run.data.metrics["test_brier"] == pytest.approx(brier)
    quarantined = pd.read_csv(artifact(run, "data/quarantined.csv"))
    assert not set(quarantined["row"]) & set(splits["row"])


def test_the_report_is_one_file_that_loads_nothing(run: Run) -> None:
    page = artifact(run, "report.html").read_text()
    loaded = re.findall(r"""(?:src|href)=["'](?!#)(.{5})|url\(|@import""", page)
    assert set(loaded) == {"data:"}
    assert page.count("data:image/png;base64,") == 6
    for text in ("not_survived", "Plot", "was trained without its", "shuffled"):
        assert text in page


def test_the_registered_model_is_skops_with_a_typed_signature(
    run: Run, client: mlflow.MlflowClient
) -> None:
    version = client.get_model_version_by_alias(MODEL, "challenger")
    assert version.run_id == run.info.run_id
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{MODEL}@challenger"))
    assert (folder / "model.skops").is_file()
    assert not [file for file in folder.rglob("*") if file.suffix in (".pkl", ".pickle", ".joblib")]
    model = mlflow.pyfunc.load_model(str(folder))
    metadata = model.metadata.metadata
    assert metadata["classes"] == ["survived", "not_survived"]
    assert metadata["data_digest"] == run.data.tags["data_digest"]
    properties = metadata["schema"]["properties"]
    assert properties["Core"]["enum"] == [2016, 2017]
    columns = {each.name: each for each in model.metadata.get_input_schema()}
    assert list(columns) == ["Species", "Light_ISF", "Core", "Soil", "EMF", "Lignin"]
    assert set(columns) == set(properties)
    kinds = {name: str(each.type) for name, each in columns.items()}
    assert kinds["Species"] == "DataType.string" and kinds["Light_ISF"] == "DataType.double"
    assert kinds["Core"] == "DataType.long"
    assert [name for name, each in columns.items() if not each.required] == ["EMF"]
    answer = model.predict(model.input_example)
    assert answer.shape == (len(model.input_example), 2)
    [example] = model.input_example.to_dict("records")
    first = {name: each["enum"][0] for name, each in properties.items() if "enum" in each}
    middle = {n: (e["minimum"] + e["maximum"]) / 2 for n, e in properties.items() if n not in first}
    assert example == first | middle, "made up from the schema, and no row of the table"


def test_the_run_asks_to_be_promoted_and_its_rows_are_evidence(
    run: Run, client: mlflow.MlflowClient
) -> None:
    [version] = client.search_model_versions(f"run_id='{run.info.run_id}'")
    assert "is one of env=development" in version.tags["not_promoted_because"]
    own = evidence_of(MODEL, str(version.version), "")
    assert own.accuracy == pytest.approx(run.data.metrics["test_accuracy"])
    same = evidence_of(MODEL, str(version.version), str(version.version))
    assert same.passed and same.samples == own.samples and same.low == same.high == 0
    splits = pd.read_csv(artifact(run, "data/splits.csv"))
    assert own.groups == splits.loc[splits["split"] == "test", "group"].nunique()


def test_the_run_has_a_model_card_of_its_own_figures(run: Run) -> None:
    assert check_card(FoldRun(run.info.run_id, run.data.tags)) == ""
    text = artifact(run, "card.md").read_text()
    metrics = run.data.metrics
    accuracy = [metrics[f"test_accuracy{end}"] for end in ("", "_low", "_high")]
    assert "| accuracy | {:.3f} [{:.3f}, {:.3f}] |".format(*accuracy) in text
    assert "pipeline_tag: tabular-classification" in text
    for known in ("Generated data", run.info.run_id, run.data.tags["lock_sha256"]):
        assert known in text
    assert "<h2>Limits</h2>" in artifact(run, "card.html").read_text()


def test_a_bad_table_fails_the_run_in_ingest(server: str, tmp_path: Path) -> None:
    path = tmp_path / "trees.csv"
    path.write_text("No,Plot\n1,2\n")
    status, output = finish(
        start(server, tmp_path, *QUICK, "dataset.source=directory", f"dataset.path={path}")
    )
    assert status == 1
    assert f"error: {path} has no column Species" in output
    assert "Traceback" not in output
    assert "The step ingest failed" in (tmp_path / "outputs" / "report.html").read_text()
