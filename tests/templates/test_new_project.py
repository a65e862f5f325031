"""`make new-project` writes a monorepo without the examples, in which a pipeline runs at once."""

import os
import re
from pathlib import Path

import mlflow
import pytest
import requests

from conf import stages
from tests import structure
from tests.common import ROOT, datasets, deployments, models, trainings
from tests.servers import free_port, running
from tests.templates.common import make, run

LIMITS = {"images_per_class: 200": "images_per_class: 10", "image_size: 64": "image_size: 32"}
"""What makes the sample of development tiny: 6, 2 and 2 images of each class."""


@pytest.fixture(scope="module")
def project(repository: Path) -> Path:
    """A project as it is written, empty."""
    done = make(repository, "new-project", "NAME=my-lab")
    assert done.returncode == 0, done.stderr
    (repository.parent / "my-lab" / ".venv").symlink_to(repository / ".venv")
    return repository.parent / "my-lab"


@pytest.fixture(scope="module")
def pipeline(project: Path) -> Path:
    """The same with a pipeline in it, which `mlflow run` knows how to train."""
    done = make(project, "new-pipeline", "MODEL=mymodel", "DATASET=mydata")
    assert done.returncode == 0, done.stderr
    limits = project / "conf" / "env" / "development.yaml"
    text = limits.read_text()
    for long, short in LIMITS.items():
        assert long in text
        text = text.replace(long, short)
    limits.write_text(text)
    return project


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("stores")
    return {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "BENTOML_HOME": str(folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "true",
    }


@pytest.fixture(scope="module")
def trained(pipeline: Path, environment: dict[str, str]) -> Path:
    """Trained by `mlflow run`, with the environment that is there."""
    given = ("-P", "epochs=1", "-P", "batch_size=8", "-P", "dropout=0.3")
    command = ("python", "-m", "mlflow", "run", ".", "--env-manager=local", *given)
    done = run(pipeline, *command, **environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return pipeline


def test_it_keeps_every_rule_and_no_example(project: Path) -> None:
    assert [problem for check in structure.CHECKS for problem in check(project)] == []
    assert models(project) == datasets(project) == trainings(project) == []
    assert deployments(project) == []
    names = "|".join([*models(ROOT), *datasets(ROOT)])
    named = run(project, "git", "grep", "--no-index", "-lE", names).stdout
    assert named == ""
    assert "# my-lab" in (project / "README.md").read_text()
    assert stages.listed(project) == ([], {})


def test_what_is_shared_is_the_same_file(project: Path) -> None:
    for name in ("train/common/fit.py", "conf/entry.py", "deploy/ecr.sh", "Pipfile.lock"):
        assert (project / name).read_bytes() == (ROOT / name).read_bytes()
        assert (project / name).stat().st_mode == (ROOT / name).stat().st_mode


def test_a_name_that_is_bad_or_taken_is_refused(repository: Path, project: Path) -> None:
    bad = make(repository, "new-project", "NAME=My Lab")
    assert "NAME=My Lab: small letters and digits" in bad.stderr
    taken = make(repository, "new-project", "NAME=my-lab")
    assert f"{project} exists and is not overwritten" in taken.stderr
    assert bad.returncode and taken.returncode


def test_the_discovered_tests_find_the_pipeline_and_pass(pipeline: Path) -> None:
    found = ("tests/models", "tests/datasets/mydata", "tests/datasets/test_every_dataset.py")
    done = run(pipeline, "python", "-m", "pytest", "-q", *found, "tests/test_structure.py")
    assert done.returncode == 0, done.stdout[-3000:]
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 50


def test_mlflow_run_trains_it_with_the_parameters(trained: Path, environment) -> None:
    client = mlflow.MlflowClient(environment["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name("mymodel/mydata")
    assert experiment is not None
    [done] = client.search_runs([experiment.experiment_id])
    assert done.info.status == "FINISHED"
    expected = {
        "model.dropout": "0.3",
        "fit.finetune.learning_rate": "0.0001",
        "fit.finetune.epochs": "1",
        "fit.batch_size": "8",
    }
    assert expected.items() <= done.data.params.items()


def test_a_training_leaves_what_its_stage_declares(trained: Path) -> None:
    [home] = (trained / "outputs" / "train").glob("*/*")
    declared = re.findall(r"reports/train_\$\{key\}/(\S+?):?\n", (trained / "dvc.yaml").read_text())
    assert sorted(declared) == ["metrics.json", "report.html"]
    assert all((home / name).stat().st_size for name in declared)


def test_it_serves_at_once(trained: Path, environment, tmp_path: Path) -> None:
    port = free_port()
    command = [str(trained / "deploy" / "serve.py"), "--deployment", "mymodel/V1"]
    with running(
        [*command, "--port", str(port)], port, "/readyz", os.environ | environment, tmp_path / "log"
    ) as server:
        image = (trained / "deploy" / "mymodel" / "V1" / "sample-input.jpg").read_bytes()
        answer = requests.post(f"{server.address}/predict", files={"image": image})
        assert answer.status_code == 200, answer.text
        assert answer.json()["predictions"][0]["label"] in ("0_disc", "1_square")
        assert requests.get(f"{server.address}/model").json()["texts"]["en"]["title"] == "mydata"
