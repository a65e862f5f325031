"""Finished runs side by side: settings, paired differences, the images they disagree on."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from tests.train.conftest import SMALL, Trained, finish, start

DATA = [option for option in SMALL if option.startswith(("env", "dataset"))]
PIPELINE = "+pipeline=compare_kvasir4"


@pytest.fixture(scope="module")
def client(server: str) -> Iterator[mlflow.MlflowClient]:
    mlflow.set_tracking_uri(server)
    yield mlflow.MlflowClient(server)
    mlflow.set_tracking_uri("")


@pytest.fixture(scope="module")
def perfect(
    client: mlflow.MlflowClient, unbroken: Trained, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """A run on the same images that is right for all of them, with another learning rate."""
    known = client.get_run(unbroken.run_id)
    folder = Path(
        mlflow.artifacts.download_artifacts(
            run_id=unbroken.run_id, dst_path=str(tmp_path_factory.mktemp("run"))
        )
    )
    table = pd.read_csv(folder / "tables" / "predictions.csv")
    for name in table["label"].unique():
        table[name] = (table["label"] == name).astype(float)
    table.to_csv(folder / "tables" / "predictions.csv", index=False)
    config = (folder / "config.yaml").read_text()
    changed = re.sub(r"(finetune:\n\s+epochs: \d+\n\s+learning_rate: )\S+", r"\g<1>0.5", config)
    assert changed != config
    (folder / "config.yaml").write_text(changed)
    tags = {name: known.data.tags[name] for name in ("data_digest", "pipeline")}
    run = client.create_run(known.info.experiment_id, tags=tags)
    client.log_artifacts(run.info.run_id, str(folder))
    client.set_terminated(run.info.run_id)
    return run.info.run_id


@pytest.mark.slow
def test_two_runs_stand_side_by_side(
    server: str, client: mlflow.MlflowClient, unbroken: Trained, perfect: str, tmp_path: Path
) -> None:
    shutil.copytree(unbroken.folder / "cache", tmp_path / "cache")
    runs = f"compare.runs=[{unbroken.run_id},{perfect}]"
    status, output = finish(start(server, tmp_path, PIPELINE, runs, *DATA, entry="models"))
    assert status == 0, output
    started = re.search(r"MLflow run (\w+) of experiment compare/kvasir4", output)
    assert started, output
    values = client.get_run(started[1]).data.metrics
    theirs = client.get_run(unbroken.run_id).data.metrics
    assert values["B_minus_A_accuracy"] == pytest.approx(1 - theirs["test_accuracy"])
    assert values["B_minus_A_accuracy_low"] <= values["B_minus_A_accuracy"]
    page = (tmp_path / "outputs" / "report.html").read_text()
    for text in ("more accurate than A (resnet50v2ft)", "McNemar", "fit.finetune.learning_rate"):
        assert text in page
    folder = Path(mlflow.artifacts.download_artifacts(run_id=started[1], artifact_path="tables"))
    disagreed = pd.read_csv(folder / "disagreements.csv")
    count = len(pd.read_csv(Path(_predictions(unbroken.run_id))))
    assert len(disagreed) == round((1 - theirs["test_accuracy"]) * count)
    assert (disagreed["right"] == "B").all() and (disagreed["B"] == disagreed["label"]).all()
    changed = pd.read_csv(folder / "settings.csv")
    assert changed["key"].tolist() == ["fit.finetune.learning_rate"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["compare.runs=[nothing,nothing]", *DATA], "run nothing cannot be found"),
        (["compare.runs=[{run}]", *DATA], "compare.runs needs two or more runs"),
        (["compare.runs=[{run},{run}]", *DATA, "dataset.sample_images=6"], "used other data"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    server: str, unbroken: Trained, tmp_path: Path, more: list[str], message: str
) -> None:
    given = [option.format(run=unbroken.run_id) for option in more]
    status, output = finish(start(server, tmp_path, PIPELINE, *given, entry="models"))
    assert status == 1
    assert message in output and "Traceback" not in output


def _predictions(run_id: str) -> str:
    return mlflow.artifacts.download_artifacts(
        run_id=run_id, artifact_path="tables/predictions.csv"
    )
