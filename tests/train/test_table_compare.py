"""All estimators on the same outer folds in one run; test has no say in which one is taken."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Run
from sklearn.model_selection import GroupKFold

from conf.schema import Estimator
from datasets.common.tables import Table
from tests.common import configuration
from tests.train.conftest import finish, start
from tests.train.tables import searched, split_sample
from train.common.data.types import Compared, Splits, TrainedPipeline
from train.common.evaluation.nested import (
    OF_EACH_FOLD,
    OVERALL,
    estimators,
)
from train.common.fitting.search import cross_validated

FOLDS = 2
QUICK = [
    "+pipeline=train_treesurvival", "env=development", "dataset.sample_rows=400",
    "fit.candidates=1", "fit.folds=2", "fit.workers=1", f"metrics.folds={FOLDS}",
    "metrics.bootstrap=40", "metrics.permutations=1",
]  # fmt: skip
"""The default, which compares, on 400 generated rows."""


@pytest.fixture(scope="module")
def config() -> Any:
    return configuration(*QUICK)


@pytest.fixture(scope="module")
def splits(config: Any) -> Splits[Table]:
    return split_sample(config)


@pytest.fixture(scope="module")
def fitted(config: Any, splits: Splits[Table]) -> TrainedPipeline:
    return searched(splits, config)


@pytest.fixture(scope="module")
def compared(splits: Splits[Table], fitted: TrainedPipeline) -> Compared:
    return cross_validated(fitted, splits, FOLDS, 0)


@pytest.mark.slow
def test_the_estimator_is_chosen_by_its_search_on_train_alone(
    config: Any, splits: Splits[Table], fitted: TrainedPipeline
) -> None:
    assert list(fitted.searches) == list(Estimator)
    assert fitted.estimator == max(fitted.scores, key=fitted.scores.__getitem__)
    assert set(fitted.candidates["estimator"]) == {kind.name for kind in Estimator}
    assert fitted.candidates["estimator"].iloc[0] == fitted.estimator.name
    frame = splits.data.frame.copy()
    hidden = np.concatenate([splits.validation, splits.test])
    frame.loc[hidden, "label"] = 1 - frame.loc[hidden, "label"]
    changed = replace(splits, data=replace(splits.data, frame=frame))
    again = searched(changed, config)
    assert again.scores == fitted.scores and again.estimator == fitted.estimator


def test_one_estimator_is_trained_alone_where_it_is_named(splits: Splits[Table]) -> None:
    config = configuration(*QUICK, "model.estimator=random_forest")
    alone = searched(splits, config)
    assert list(alone.searches) == [alone.estimator] == [Estimator.random_forest]
    assert "RandomForest" in type(alone.model[-1]).__name__


@pytest.mark.slow
def test_every_outer_fold_is_answered_by_searches_that_did_not_see_it(
    splits: Splits[Table], fitted: TrainedPipeline, compared: Compared
) -> None:
    frame = splits.data.frame
    assert len(compared.choices) == FOLDS and set(compared.seconds) == set(Estimator)
    parts = GroupKFold(FOLDS, shuffle=True, random_state=0).split(frame, groups=frame["group"])
    for choice, (_, unseen) in zip(compared.choices, parts, strict=True):
        np.testing.assert_array_equal(compared.held_out[unseen], compared.answers[choice][unseen])
    own = (frame["group"] == frame["group"].iloc[0]).to_numpy()
    wrong = frame.assign(label=np.where(own, 1 - frame["label"], frame["label"]))
    changed = replace(splits, data=replace(splits.data, frame=wrong))
    other = cross_validated(fitted, changed, FOLDS, 0)
    for kind, before in compared.answers.items():
        np.testing.assert_array_equal(before[own], other.answers[kind][own])
        assert not np.allclose(before[~own], other.answers[kind][~own])


@pytest.mark.slow
def test_differences_are_paired(config: Any, splits: Splits[Table], compared: Compared) -> None:
    """Two alike differ by nothing, and the interval says so, whatever their own intervals are."""
    same = replace(compared, answers=dict.fromkeys(compared.answers, compared.held_out))
    table = estimators(same, splits, config)
    assert (table["difference"] == 0).all(axis=None)
    auc = table["roc_auc_macro"]
    assert (auc["low"] < auc["value"]).all() and (auc["value"] < auc["high"]).all()
    real = estimators(compared, splits, config)
    gain = real["roc_auc_macro"]["value"] - real["roc_auc_macro"]["value"][OF_EACH_FOLD]
    assert real["difference"]["value"].to_numpy() == pytest.approx(gain.to_numpy())


@pytest.fixture(scope="module")
def run(server: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    mlflow.set_tracking_uri(server)
    status, output = finish(start(server, tmp_path_factory.mktemp("compared"), *QUICK))
    assert status == 0, output
    started = re.search(r"MLflow run (\w+) of experiment treesurvival/treesurvival", output)
    assert started, output
    return mlflow.MlflowClient(server).get_run(started[1])


def artifact(run: Run, path: str) -> Path:
    return Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=path))


@pytest.mark.slow
def test_one_run_reports_all_estimators_in_a_table_and_a_figure(run: Run) -> None:
    table = pd.read_csv(artifact(run, "tables/estimators.csv")).set_index("estimator")
    names = {name.removesuffix(" (taken)") for name in table.index}
    assert names == {*(kind.name for kind in Estimator), OF_EACH_FOLD}
    taken = [name for name in table.index if name.endswith(" (taken)")]
    assert len(taken) == 1 and taken[0] == table.index[0]
    assert table["ROC AUC"].str.fullmatch(r"0\.\d{3} \[0\.\d{3}, \d\.\d{3}\]").all()
    assert (table["seconds"] >= 0).all() and table["best in folds"].iloc[:-1].sum() == FOLDS
    page = artifact(run, "report.html").read_text()
    assert 'id="estimators"' in page and "Nested cross-validation" in page
    assert re.search(rf"<dd>{taken[0].removesuffix(' (taken)')}, of logistic_regression, ", page)
    assert re.search(r"<dt>run time</dt><dd>search on train \d+ s, cross-validation \d+ s", page)
    for kind in Estimator:
        for metric in OVERALL:
            ends = [run.data.metrics[f"cv_{kind.name}_{metric}{e}"] for e in ("_low", "", "_high")]
            assert ends == sorted(ends)


@pytest.mark.slow
def test_the_registered_model_says_which_estimator_was_taken(run: Run) -> None:
    table = pd.read_csv(artifact(run, "tables/estimators.csv"))
    client = mlflow.MlflowClient(mlflow.get_tracking_uri())
    found = client.search_model_versions(f"run_id='{run.info.run_id}'")
    model = mlflow.pyfunc.load_model(f"models:/{found[0].name}/{found[0].version}")
    assert f"{model.metadata.metadata['estimator']} (taken)" == table["estimator"].iloc[0]
