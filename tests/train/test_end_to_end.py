"""Every image pipeline on its generated sample: what MLflow holds afterwards, also after a kill."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Run
from omegaconf import DictConfig, OmegaConf

from conf.errors import UserError
from tests.common import configuration, pipelines
from tests.train.conftest import FEW_LAYERS, TINY, Trained, finish, start
from train.common.tracking.load import finished_folds

EXPERIMENT = "resnet50v2ft/kvasir4"
CLASSES = ["0_normal", "1_ulcerative_colitis", "2_polyps", "3_esophagitis"]
EPOCHS = 3
RESUME_TOLERANCE = 1e-5
"""Kernels split sums over threads in an order that varies: float32, after a few updates."""
PATIENCE_SECONDS = 300
OTHERS = [
    name
    for name in pipelines(task="train", recipe="image_training")
    if f"+pipeline={name}" not in TINY
]


@pytest.fixture(scope="module")
def client(server: str) -> Iterator[mlflow.MlflowClient]:
    mlflow.set_tracking_uri(server)
    yield mlflow.MlflowClient(server)
    mlflow.set_tracking_uri("")


@pytest.fixture(scope="module")
def run(client: mlflow.MlflowClient, unbroken: Trained) -> Run:
    """One unbroken run of the first pipeline."""
    return client.get_run(unbroken.run_id)


def newest(client: mlflow.MlflowClient, experiment: str = EXPERIMENT) -> Run:
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return client.search_runs([found.experiment_id], max_results=1)[0]


def artifact(run: Run, path: str) -> Path:
    return Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=path))


def logged(run: Run) -> Any:
    loaded = OmegaConf.load(artifact(run, "config.yaml"))
    assert isinstance(loaded, DictConfig)
    return loaded


def check_metrics(run: Run) -> None:
    """Every metric stands in its interval, and agrees with the predictions that are logged."""
    names = ["accuracy", "mcc", "roc_auc_macro"]
    names += [
        f"{metric}_{of}"
        for metric in ("precision", "recall", "f1")
        for of in ("macro", "weighted", *logged(run).dataset.classes)
    ]
    for name in names:
        low, value, high = (run.data.metrics[f"test_{name}{end}"] for end in ("_low", "", "_high"))
        assert low <= value <= high, name
    predictions = pd.read_csv(artifact(run, "tables/predictions.csv"))
    right = (predictions["label"] == predictions["answer"]).mean()
    assert run.data.metrics["test_accuracy"] == pytest.approx(right)
    splits = pd.read_csv(artifact(run, "data/splits.csv"))
    assert sorted(predictions["file"]) == sorted(splits.query("split == 'test'")["file"])


def check_report(run: Run) -> None:
    """The report is one file that loads nothing, and shows figures and classes."""
    page = artifact(run, "report.html").read_text()
    assert "probe of masked images" in page and run.data.tags["gate"] in ("passed", "failed")
    loaded = re.findall(r"""(?:src|href)=["'](?!#)(.{5})|url\(|@import""", page)
    assert set(loaded) == {"data:"}
    assert page.count("data:image/png;base64,") == 8
    for text in (*logged(run).dataset.classes, "bootstrap", run.info.run_id, "sample"):
        assert text in page


def check_models(run: Run, client: mlflow.MlflowClient) -> None:
    """The challenger is of this run, and answers as the Keras model does on raw pixels."""
    config = logged(run)
    registered = f"{config.model.name}-{config.dataset.name}"
    version = client.get_model_version_by_alias(registered, "challenger")
    assert version.run_id == run.info.run_id
    serving = mlflow.pyfunc.load_model(f"models:/{registered}@challenger")
    assert serving.metadata.metadata["classes"] == config.dataset.classes
    assert serving.metadata.metadata["data_digest"] == run.data.tags["data_digest"]
    example = serving.input_example
    assert example.dtype == np.uint8
    answer = serving.predict(example)
    assert set(answer) == {"probabilities", "feature_map", "unlikeness"}
    assert {"unlikeness", "classes"} >= set(serving.metadata.metadata["abstention"])
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


@pytest.mark.slow
@pytest.mark.parametrize("pipeline", OTHERS)
def test_every_image_pipeline_runs_the_whole_way_also_by_debug_fast(
    pipeline: str, server: str, client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    command = [f"+pipeline={pipeline}", "+debug=fast", "env=development"]
    status, output = finish(start(server, tmp_path, *command))
    assert status == 0, output
    config = configuration(*command)
    run = newest(client, f"{config.model.name}/{config.dataset.name}")
    assert run.info.status == "FINISHED"
    assert run.data.tags["pipeline"] == pipeline
    check_metrics(run)
    check_report(run)
    check_models(run, client)
    assert [m.step for m in client.get_metric_history(run.info.run_id, "loss")] == [1, 2]
    assert not (tmp_path / "cache" / "activations").exists()


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
    assert len(run.data.params) < 45
    config = logged(run)
    assert config.fit.finetune.epochs == EPOCHS - 1
    assert config.dataset.classes == CLASSES


def test_every_epoch_and_every_test_metric_is_logged(run: Run, client: mlflow.MlflowClient) -> None:
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        steps = [m.step for m in client.get_metric_history(run.info.run_id, name)]
        assert steps == [1, 2, 3]
    check_metrics(run)


def test_the_splits_are_a_file_and_disjoint(run: Run) -> None:
    splits = pd.read_csv(artifact(run, "data/splits.csv"))
    assert splits["split"].value_counts().to_dict() == {"train": 48, "validation": 16, "test": 16}
    assert splits["sha256"].is_unique


def test_the_report_is_one_file_that_loads_nothing(run: Run) -> None:
    check_report(run)


def test_both_models_answer_alike_on_raw_pixels(run: Run, client: mlflow.MlflowClient) -> None:
    check_models(run, client)


@pytest.mark.slow
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


@pytest.mark.slow
def test_folds_trained_apart_are_joined_and_trained_once(
    server: str, client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    command = [*FEW_LAYERS, "split.folds=2", "fit.finetune.epochs=0", "fit.batch_size=4"]
    sweep = ["--multirun", f"hydra.sweep.dir={tmp_path}/sweep", *command, "split.fold=1,null"]
    status, output = finish(start(server, tmp_path, *sweep))
    assert status == 0, output
    joined = newest(client, "vgg16ft/kidney2")
    assert joined.info.run_name == "v1-development-folds"
    first, apart = (client.get_run(joined.data.tags[f"fold_{number}"]) for number in (0, 1))
    assert apart.info.run_name == "v1-development-fold1"
    assert output.count("fold 1 of 2 is finished") == 1
    assert f"fold 1 of 2 is finished: run {apart.info.run_id}" in output
    assert joined.data.tags["data_digest"] == apart.data.tags["data_digest"]
    parts = [len(pd.read_csv(artifact(run, "tables/predictions.csv"))) for run in (first, apart)]
    assert len(pd.read_csv(artifact(joined, "tables/predictions.csv"))) == sum(parts) == 40
    assert "share training images" in artifact(joined, "report.html").read_text()
    assert not list(tmp_path.glob("cache/checkpoints/*")), "a logged fold leaves no checkpoints"

    twice = client.create_run(apart.info.experiment_id, tags=apart.data.tags)
    client.log_param(twice.info.run_id, "split.fold", "1")
    client.set_terminated(twice.info.run_id, "FINISHED")
    digest = apart.data.tags["data_digest"]
    with pytest.raises(UserError, match=rf"fold 1 was trained twice.*{twice.info.run_id}"):
        finished_folds(configuration(*command), lambda: digest)
    assert finished_folds(configuration(*command), lambda: "of other data") == {}
