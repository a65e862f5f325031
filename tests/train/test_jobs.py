"""Each job around training, really run: what MLflow and the disk hold afterwards."""

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import onnxruntime
import pandas as pd
import pyarrow.parquet as pq
import pytest
from mlflow.entities import Run
from PIL import Image

from conf.errors import UserError
from datasets.common.images import Verdict, Window, score_files
from deploy.serving.http.limits import Limits
from deploy.serving.images.classifier import Classifier, Facts
from deploy.serving.images.engine import Engine
from tests.common import configuration, log_smallest
from tests.datasets.test_dicom import dicom, write
from tests.train.conftest import SMALL, Trained, finish, start
from train.common.evaluation import explain
from train.common.tracking.load import Registered, fetch_keras, fetch_model, registered
from train.jobs import image_prediction

DATA = [option for option in SMALL if option.startswith(("env", "dataset"))]
"""The data of the run that is studied."""
SAME_FUNCTION = 1e-3
"""Largest difference of probabilities on two engines, as between training and service."""
PATIENCE_SECONDS = 300


@pytest.fixture(scope="module", autouse=True)
def client(server: str) -> Iterator[mlflow.MlflowClient]:
    mlflow.set_tracking_uri(server)
    yield mlflow.MlflowClient(server)
    mlflow.set_tracking_uri("")


@pytest.fixture(scope="module")
def model(unbroken: Trained) -> Registered:
    config = configuration("+pipeline=study_resnet50v2ft")
    return registered(config, f"runs:/{unbroken.run_id}/serving")


@pytest.fixture(scope="module")
def folder(unbroken: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's 80 images, and one that is none."""
    folder = tmp_path_factory.mktemp("images") / "in"
    shutil.copytree(next((unbroken.folder / "cache" / "samples").iterdir()), folder)
    (folder / "test" / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    return folder


def done(client: mlflow.MlflowClient, output: str) -> Run:
    started = re.search(r"MLflow run (\w+) of experiment", output)
    assert started, output
    return client.get_run(started[1])


def table(run: Run, name: str) -> pd.DataFrame:
    return pd.read_csv(
        mlflow.artifacts.download_artifacts(
            run_id=run.info.run_id, artifact_path=f"tables/{name}.csv"
        )
    )


def check_page(page: str, *expected: str) -> None:
    """One file that loads nothing and shows what it should."""
    assert set(re.findall(r"""(?:src|href)=["'](?!#)(.{5})|url\(|@import""", page)) == {"data:"}
    for text in expected:
        assert text in page


@pytest.mark.slow
def test_a_dataset_is_built_verified_and_reported(
    server: str, client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    given = ["+pipeline=dataset_kvasir4", "dataset.sample_images=10"]
    status, output = finish(start(server, tmp_path, *given, entry="datasets"))
    assert status == 0, output
    run = done(client, output)
    assert run.info.status == "FINISHED"
    assert client.get_experiment(run.info.experiment_id).name == "dataset/kvasir4"
    assert run.data.metrics["images"] == 40 and run.data.metrics["quarantined"] == 0
    counts = table(run, "class_balance")
    assert counts[["train", "validation", "test"]].sum().tolist() == [24, 8, 8]
    page = (tmp_path / "outputs" / "report.html").read_text()
    check_page(page, run.data.tags["data_digest"], "Contact sheet: Polyps", "1_ulcerative_colitis")


@pytest.mark.slow
def test_a_study_of_a_dataset_probes_for_leaks(
    server: str, client: mlflow.MlflowClient, unbroken: Trained, tmp_path: Path
) -> None:
    given = ["+pipeline=study_kvasir4", "probes.bootstrap=50", *DATA]
    shutil.copytree(unbroken.folder / "cache", tmp_path / "cache")
    status, output = finish(start(server, tmp_path, *given, entry="datasets"))
    assert status == 0, output
    run = done(client, output)
    probes = table(run, "leak_probes").set_index(["probe", "validated"])
    assert len(probes) == 4
    for (probe, validated), row in probes.iterrows():
        assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1
        name = f"{probe} {validated}".replace(" ", "_")
        assert run.data.metrics[name] == pytest.approx(row["value"])
    assert run.data.metrics["chance"] == pytest.approx(0.25)
    page = (tmp_path / "outputs" / "report.html").read_text()
    check_page(page, "Leak probes", "Image sizes", "Near duplicates", "Contact sheet: Normal")


@pytest.mark.slow
def test_a_study_of_a_model_shows_validation_images_of_its_run(
    server: str, client: mlflow.MlflowClient, unbroken: Trained, tmp_path: Path
) -> None:
    given = [
        "+pipeline=study_resnet50v2ft", f"study.model_uri=runs:/{unbroken.run_id}/serving",
        "study.pictures=6", *DATA,
    ]  # fmt: skip
    status, output = finish(start(server, tmp_path, *given, entry="models"))
    assert status == 0, output
    run = done(client, output)
    assert client.get_experiment(run.info.experiment_id).name == "study/resnet50v2ft"
    seen = table(run, "predictions")
    assert len(seen) == 16 and seen["file"].str.startswith("validation/").all()
    right = (seen["label"] == seen["answer"]).mean()
    assert run.data.metrics["validation_accuracy"] == pytest.approx(right)
    theirs = client.get_metric_history(unbroken.run_id, "val_accuracy")
    assert right in [pytest.approx(metric.value) for metric in theirs]
    assert 0 <= run.data.metrics["validation_ece"] <= 1
    page = (tmp_path / "outputs" / "report.html").read_text()
    shown = ("Grad-CAM</h2>", "Least certain", "Embedding", "Layer activations", unbroken.run_id)
    check_page(page, *shown)
    assert "Only the training evaluates the test images, once" in page


@pytest.mark.slow
def test_a_model_is_not_studied_on_other_data_than_its_own(
    server: str, client: mlflow.MlflowClient, unbroken: Trained, tmp_path: Path
) -> None:
    uri = f"study.model_uri=runs:/{unbroken.run_id}/serving"
    given = ["+pipeline=study_resnet50v2ft", uri, "dataset.sample_images=6"]
    status, output = finish(start(server, tmp_path, *given, entry="models"))
    assert status == 1
    assert "was trained on other data than these" in output
    assert "dataset.sample_images=20" in output.splitlines()[-1]
    assert "Traceback" not in output
    assert done(client, output).info.status == "FAILED"


def test_a_model_that_is_not_there_is_named_with_the_choices(client: mlflow.MlflowClient) -> None:
    config = configuration("+pipeline=study_vgg16ft", "dataset.name=never")
    with pytest.raises(UserError, match=r"neither champion nor challenger of vgg16ft-never: tr"):
        registered(config, None)
    for uri in ("models:/vgg16ft-never/7", "runs:/nothing/serving"):
        with pytest.raises(UserError, match=r"cannot be found.*models:/vgg16ft-never@<alias>"):
            registered(config, uri)
    with pytest.raises(UserError, match=r"model_uri=/tmp/x: expected models:/"):
        registered(config, "/tmp/x")


def test_a_model_that_saw_other_pixels_is_refused(
    client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    facts = {"classes": ["a", "b"], "image_size": 32}  # as before readers were noted
    run = log_smallest(client.tracking_uri, tmp_path / "other_reader", metadata=facts)
    with pytest.raises(UserError, match="was trained on other pixels than this revision reads"):
        registered(configuration("+pipeline=study_resnet50v2ft"), f"runs:/{run}/serving")


def test_without_a_name_it_is_the_champion_else_the_challenger(
    client: mlflow.MlflowClient, model: Registered
) -> None:
    config = configuration("+pipeline=study_resnet50v2ft")
    newest = client.get_model_version_by_alias(model.name, "challenger")
    assert registered(config, None).version == str(newest.version)
    client.set_registered_model_alias(model.name, "champion", model.version)
    try:
        chosen = registered(config, None)
    finally:
        client.delete_registered_model_alias(model.name, "champion")
    assert (chosen.version, chosen.run_id) == (model.version, model.run_id)


def test_grad_cam_by_autograd_is_that_of_the_service(model: Registered) -> None:
    rng = np.random.default_rng(0)
    size = model.metadata["image_size"]
    pixels = rng.integers(0, 256, (4, size, size, 3), dtype=np.uint8)
    targets = np.arange(4)
    ours = explain.grad_cam(fetch_keras(model), pixels, targets)
    engine = Engine(fetch_model(model), threads=1)
    theirs = engine.head.grad_cam(engine.run(pixels)[1], targets)
    assert ours.max() > 0
    np.testing.assert_allclose(ours, theirs, atol=1e-3 * theirs.max())


def predict(server: str, home: Path, folder: Path, model: Registered, *given: str):
    return start(
        server, home, "+pipeline=predict_resnet50v2ft", f"predict.input={folder}",
        f"predict.output={home}/x.parquet", f"predict.model_uri={model.uri}", *given,
        entry="models",
    )  # fmt: skip


def test_a_folder_is_scored_as_the_service_answers(
    server: str, client: mlflow.MlflowClient, folder: Path, model: Registered, tmp_path: Path
) -> None:
    status, output = finish(predict(server, tmp_path, folder, model))
    assert status == 0, output
    scored = pq.read_table(tmp_path / "x.parquet")
    known = {key.decode(): value.decode() for key, value in scored.schema.metadata.items()}
    assert known["run_id"] == model.run_id and known["model_uri"] == model.uri
    rows = scored.to_pandas().set_index("file")
    assert len(rows) == 81 and rows.index.is_unique
    broken = rows.loc["test/broken.jpg"]
    assert "cannot be decoded" in broken["reason"] and pd.isna(broken["label"])
    classes = model.metadata["classes"]
    facts = Facts(model.name, model.version, model.run_id, tuple(classes))
    service = Classifier(facts, fetch_model(model).parent, Limits.from_environment())
    service.load()
    for file in rows.index[rows["reason"].isna()][::9]:
        [answer] = service.classify([(folder / file).read_bytes()])
        given = rows.loc[file, [f"p_{name}" for name in classes]].to_numpy(dtype=float)
        np.testing.assert_allclose(
            given, list(answer["probabilities"].values()), atol=SAME_FUNCTION
        )
        assert rows.loc[file, "label"] == answer["label"]
    run = done(client, output)
    assert (run.data.metrics["rows"], run.data.metrics["unreadable"]) == (81, 1)
    check_page((tmp_path / "outputs" / "report.html").read_text(), "Answers", "broken.jpg")

    status, output = finish(predict(server, tmp_path, folder, model))
    assert status == 0 and "scored 0 of 81 files in this run" in output


def test_every_frame_of_a_dicom_is_scored(model: Registered, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (3, 40, 50), dtype=np.uint8)
    write(tmp_path / "scan", dicom(frames, bits=8))
    Image.fromarray(frames[2]).save(tmp_path / "third.png")
    session = onnxruntime.InferenceSession(fetch_model(model))
    size = model.metadata["image_size"]

    def predict(pixels: np.ndarray) -> tuple[np.ndarray, list[Verdict]]:
        (chances,) = session.run(["probabilities"], {"image": pixels})
        return chances, [Verdict()] * len(pixels)

    scored = score_files(
        [tmp_path / name for name in ("scan", "third.png")],
        lambda path: image_prediction.frames(path, size, Window(), 10**6),
        predict,
    )
    classes = model.metadata["classes"]
    rows = [image_prediction.row(each, tmp_path, classes) for each in scored]
    assert [(row["file"], row["frame"]) for row in rows] == [
        ("scan", 0), ("scan", 1), ("scan", 2), ("third.png", None),
    ]  # fmt: skip
    chances = [[v for k, v in row.items() if k.startswith("p_")] for row in rows]
    np.testing.assert_allclose(chances[2], chances[3], atol=SAME_FUNCTION)
    assert np.abs(np.subtract(chances[0], chances[2])).max() > 0


@pytest.mark.slow
def test_a_killed_scoring_goes_on_and_scores_nothing_twice(
    server: str, client: mlflow.MlflowClient, folder: Path, model: Registered, tmp_path: Path
) -> None:
    given = ["predict.part_size=1", "predict.batch_size=1"]
    process = predict(server, tmp_path, folder, model, *given)
    parts = tmp_path / "x.parquet.parts"
    limit = time.monotonic() + PATIENCE_SECONDS
    while len(list(parts.glob("0*.parquet"))) < 3:
        assert process.poll() is None, finish(process)[1]
        assert time.monotonic() < limit
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    _, output = finish(process)
    killed, before = done(client, output), len(list(parts.glob("0*.parquet")))
    assert killed.info.status == "RUNNING" and 3 <= before < 81

    status, output = finish(predict(server, tmp_path, folder, model, *given))
    assert status == 0, output
    run = done(client, output)
    assert run.data.metrics["rows_in_this_run"] == 81 - before
    assert run.data.tags["resumed_from"] == killed.info.run_id
    assert client.get_run(killed.info.run_id).info.status == "KILLED"
    files = pq.read_table(tmp_path / "x.parquet")["file"].to_pylist()
    assert files == sorted(set(files)) and len(files) == 81
    assert not parts.exists()
