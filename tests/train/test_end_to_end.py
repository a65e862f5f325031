"""The whole pipeline on the generated sample: what MLflow holds afterwards, also after a kill."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Run
from omegaconf import OmegaConf

from tests.train.conftest import TINY, finish, start

EXPERIMENT, REGISTERED = "resnet50v2ft/kvasir4", "resnet50v2ft-kvasir4"
CLASSES = ["0_normal", "1_ulcerative_colitis", "2_polyps", "3_esophagitis"]
EPOCHS = 3
RESUME_TOLERANCE = 1e-5
"""Kernels split sums over threads in an order that varies: float32, after a few updates."""
PATIENCE_SECONDS = 300


@pytest.fixture(scope="module")
def client(server: str) -> Iterator[mlflow.MlflowClient]:
    mlflow.set_tracking_uri(server)
    yield mlflow.MlflowClient(server)
    mlflow.set_tracking_uri("")


@pytest.fixture(scope="module")
def run(server: str, client: mlflow.MlflowClient, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One unbroken run."""
    status, output = finish(start(server, tmp_path_factory.mktemp("unbroken"), *TINY))
    assert status == 0, output
    return newest(client)


def newest(client: mlflow.MlflowClient) -> Run:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    return client.search_runs([experiment.experiment_id], max_results=1)[0]


def artifact(run: Run, path: str) -> Path:
    return Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=path))


def test_the_run_is_finished_and_says_where_it_comes_from(run: Run) -> None:
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "v1-development"
    tags = run.data.tags
    assert tags["version"] == "v1"
    assert tags["env"] == "development"
    assert tags["pipeline"] == "train_resnet50v2ft"
    for name in ("git_revision", "git_dirty", "lock_sha256", "cpu", "version_keras"):
        assert tags[name]
    assert len(tags["data_digest"]) == 64
    assert run.inputs.dataset_inputs[0].dataset.digest == tags["data_digest"][:16]


def test_parameters_are_short_and_the_configuration_is_whole(run: Run) -> None:
    assert run.data.params["fit.batch_size"] == "16"
    assert run.data.params["model.weights"] == "none"
    assert run.data.params["dataset.source"] == "sample"
    assert run.data.params["seed"] == "0"
    assert len(run.data.params) < 40
    config = OmegaConf.load(artifact(run, "config.yaml"))
    assert config.fit.finetune.epochs == EPOCHS - 1
    assert config.dataset.classes == CLASSES


def test_every_epoch_and_every_test_metric_is_logged(run: Run, client: mlflow.MlflowClient) -> None:
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        steps = [m.step for m in client.get_metric_history(run.info.run_id, name)]
        assert steps == [1, 2, 3]
    names = ["accuracy", "mcc", "roc_auc_macro"]
    names += [f"{m}_{of}" for m in ("precision", "recall", "f1") for of in ("macro", "weighted")]
    names += [f"{m}_{of}" for m in ("precision", "recall", "f1") for of in CLASSES]
    for name in names:
        low, value, high = (run.data.metrics[f"test_{name}{end}"] for end in ("_low", "", "_high"))
        assert low <= value <= high, name


def test_test_metrics_agree_with_the_logged_predictions(run: Run) -> None:
    predictions = pd.read_csv(artifact(run, "tables/predictions.csv"))
    assert len(predictions) == 16
    right = (predictions["label"] == predictions["answer"]).mean()
    assert run.data.metrics["test_accuracy"] == pytest.approx(right)


def test_the_splits_are_a_file_and_disjoint(run: Run) -> None:
    splits = pd.read_csv(artifact(run, "data/splits.csv"))
    assert splits["split"].value_counts().to_dict() == {"train": 48, "validation": 16, "test": 16}
    assert splits["sha256"].is_unique


def test_the_report_is_one_file_that_loads_nothing(run: Run) -> None:
    page = artifact(run, "report.html").read_text()
    loaded = re.findall(r"""(?:src|href)=["'](.{5})|url\(|@import""", page)
    assert set(loaded) == {"data:"}
    assert page.count("data:image/png;base64,") == 5
    for text in ("ulcerative_colitis", "bootstrap", run.info.run_id, "sample"):
        assert text in page


def test_both_models_answer_alike_on_raw_pixels(run: Run, client: mlflow.MlflowClient) -> None:
    version = client.get_model_version_by_alias(REGISTERED, "challenger")
    assert version.run_id == run.info.run_id
    uri = f"models:/{REGISTERED}@challenger"
    serving = mlflow.pyfunc.load_model(uri)
    assert serving.metadata.metadata["classes"] == CLASSES
    assert serving.metadata.metadata["data_digest"] == run.data.tags["data_digest"]
    example = serving.input_example
    assert example.dtype == np.uint8
    answer = serving.predict(example)
    assert set(answer) == {"probabilities", "feature_map"}
    models = client.search_logged_models(
        [run.info.experiment_id], f"source_run_id='{run.info.run_id}'"
    )
    assert sorted(model.name for model in models) == ["keras", "serving"]
    keras_model = mlflow.tensorflow.load_model(
        next(model.model_uri for model in models if model.name == "keras")
    )
    assert getattr(keras_model, "optimizer", None) is None
    ours = keras_model.predict(example, verbose=0)
    np.testing.assert_allclose(answer["probabilities"], ours, atol=1e-4)


def test_a_run_killed_in_mid_training_ends_as_an_unbroken_one(
    run: Run, server: str, client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    process = start(server, tmp_path, *TINY)
    limit = time.monotonic() + PATIENCE_SECONDS
    while not (states := list(tmp_path.glob("cache/checkpoints/*/history.json"))) or (
        len(json.loads(states[0].read_text())["epochs"]) < 2
    ):
        assert process.poll() is None, finish(process)[1]
        assert time.monotonic() < limit
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    killed = newest(client)
    assert killed.info.status == "RUNNING"  # nobody could tell the server

    status, output = finish(start(server, tmp_path, *TINY))
    assert status == 0, output
    assert f"resuming after epoch 2 of run {killed.info.run_id}" in output
    resumed = newest(client)
    assert resumed.data.tags["resumed_from"] == killed.info.run_id
    assert client.get_run(killed.info.run_id).info.status == "KILLED"
    for name in ("loss", "val_loss", "val_accuracy"):
        theirs = [m.value for m in client.get_metric_history(resumed.info.run_id, name)]
        ours = [m.value for m in client.get_metric_history(run.info.run_id, name)]
        np.testing.assert_allclose(theirs, ours, atol=RESUME_TOLERANCE)
    assert resumed.data.metrics["test_log_loss"] == pytest.approx(
        run.data.metrics["test_log_loss"], abs=RESUME_TOLERANCE
    )
    assert not list(tmp_path.glob("cache/checkpoints/*")), "a logged run leaves no checkpoints"
