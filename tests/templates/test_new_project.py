"""`make new-project` writes a monorepo without the examples, in which pipelines run at once."""

import html
import os
import re
from pathlib import Path

import markdown2
import mlflow
import pytest
import requests

from conf import stages
from tests import structure
from tests.common import ROOT, datasets, deployments, models, new_store, trainings
from tests.servers import free_port, running
from tests.templates.common import make, run

LIMITS = {"images_per_class: 200": "images_per_class: 10", "image_size: 64": "image_size: 32"}
"""What makes the sample of development tiny: 6, 2 and 2 images of each class."""
DESCRIPTION = (
    """1. <b>Nódulos</b> & "50 %" of 'them'; *a* _b_ `c` [d](e) #f |g| ~~h~~ {{ i }}, as Sonda"""
)
"""What Markdown, HTML, YAML, the shell or a template would read as more than it is."""
DATASETS = ("mydata", "mytable", "test_every_dataset.py", "test_every_table.py")
"""The tests of what is generated, and those that find it."""
JOBS = {
    "datasets +pipeline=dataset_mydata dataset.sample_images=20": "image",
    "datasets +pipeline=study_mydata dataset.sample_images=20 probes.bootstrap=20": "image",
    "models +pipeline=study_mymodel study.model_uri=models:/mymodel-mydata/1": "image",
    "models +pipeline=predict_mymodel predict.model_uri=models:/mymodel-mydata/1": "image",
    "datasets +pipeline=dataset_mytable": "table",
    "datasets +pipeline=study_mytable probes.bootstrap=20": "table",
    "models +pipeline=study_mytrees study.model_uri=models:/mytrees-mytable/1": "table",
    "models +pipeline=predict_mytrees predict.model_uri=models:/mytrees-mytable/1": "table",
}
"""Every pipeline that is generated beside the trainings, and what it is of."""


@pytest.fixture(scope="module")
def project(repository: Path) -> Path:
    """A project as it is written, empty."""
    done = make(repository, "new-project", "NAME=my-lab", f"DESCRIPTION={DESCRIPTION}")
    assert done.returncode == 0, done.stderr
    (repository.parent / "my-lab" / ".venv").symlink_to(repository / ".venv")
    return repository.parent / "my-lab"


@pytest.fixture(scope="module")
def pipeline(project: Path) -> Path:
    """The same with two trainings in it; `mlflow run` knows how to train the first."""
    for words in (["mymodel", "mydata"], ["mytrees", "mytable", "TASK=table"]):
        model, dataset, *more = words
        done = make(project, "new-pipeline", f"MODEL={model}", f"DATASET={dataset}", *more)
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
        "MLFLOW_TRACKING_URI": new_store(folder),
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


@pytest.fixture(scope="module")
def table(pipeline: Path, environment: dict[str, str]) -> Path:
    """The training of a table, done."""
    quick = ("fit.candidates=2", "metrics.folds=0", "metrics.bootstrap=50")
    done = run(pipeline, "python", "-m", "train", "+pipeline=train_mytrees", *quick, **environment)
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
    for name in (
        "train/common/fitting/trainer.py",
        "conf/entry.py",
        "deploy/ecr.sh",
        "Pipfile.lock",
    ):
        assert (project / name).read_bytes() == (ROOT / name).read_bytes()
        assert (project / name).stat().st_mode == (ROOT / name).stat().st_mode


def test_the_description_stands_where_the_project_describes_itself(project: Path) -> None:
    for page in {project / "README.md", project / "docs" / "index.md"}:
        if page.is_file():
            shown = str(markdown2.markdown(page.read_text()))
            [first] = re.findall(r"^<h1.*</h1>\n\n<p>(.*)</p>", shown)
            assert "<" not in first and html.unescape(first) == DESCRIPTION
    asked = run(project, "python", "-m", "train", "--help")
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.splitlines()[0] == f"my-lab: {DESCRIPTION}"


def test_without_a_description_the_readme_asks_for_one(repository: Path) -> None:
    done = make(repository, "new-project", "NAME=plain")
    assert done.returncode == 0, done.stderr
    written = repository.parent / "plain"
    assert "# plain\n\nSay here what is studied" in (written / "README.md").read_text()
    assert "name: plain" in (written / "MLproject").read_text()


@pytest.mark.parametrize(
    ("description", "found"),
    [
        ("two\nlines", "it holds '\\n'"),
        ("$(shell touch made) `touch made`", "it holds '$'"),
        ("${oc.env:HOME}", "it holds '$'"),
        ("a \\ b", "it holds '\\\\'"),
        ("right \u202e left", "it holds '\\u202e'"),
        ("x" * 201, "it has 201 characters"),
    ],
)
def test_a_description_that_is_no_plain_line_is_refused(
    description: str, found: str, repository: Path
) -> None:
    done = make(repository, "new-project", "NAME=refused", f"DESCRIPTION={description}")
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert (
        f"DESCRIPTION: one line of at most 200 characters, without $ and backslash ({found})"
        in (done.stderr)
    )
    assert not (repository.parent / "refused").exists()
    assert not (repository / "made").exists()


def test_a_name_that_is_bad_or_taken_is_refused(repository: Path, project: Path) -> None:
    bad = make(repository, "new-project", "NAME=My Lab")
    assert "NAME=My Lab: small letters and digits" in bad.stderr
    taken = make(repository, "new-project", "NAME=my-lab")
    assert f"{project} exists and is not overwritten" in taken.stderr
    assert bad.returncode and taken.returncode


@pytest.mark.slow
def test_the_discovered_tests_find_the_pipelines_and_pass(pipeline: Path) -> None:
    found = [f"tests/datasets/{name}" for name in DATASETS]
    done = run(
        pipeline, "python", "-m", "pytest", "-q", "tests/models", *found, "tests/test_structure.py"
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 80


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_training_leaves_what_its_stage_declares(trained: Path) -> None:
    [home] = (trained / "outputs" / "train").glob("*/*")
    declared = re.findall(r"reports/train_\$\{key\}/(\S+?):?\n", (trained / "dvc.yaml").read_text())
    assert sorted(declared) == ["metrics.json", "report.html"]
    assert all((home / name).stat().st_size for name in declared)


@pytest.mark.slow
def test_a_table_trains_at_once(table: Path, environment) -> None:
    client = mlflow.MlflowClient(environment["MLFLOW_TRACKING_URI"])
    challenger = client.get_model_version_by_alias("mytrees-mytable", "challenger")
    assert str(challenger.version) == "1"


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
def test_every_other_pipeline_runs_at_once(
    job: str, trained: Path, table: Path, environment, tmp_path: Path
) -> None:
    task, (module, pipeline, *given) = JOBS[job], job.split()
    samples = trained / "deploy" / ("mytrees" if task == "table" else "mymodel") / "V1"
    if "predict" in pipeline:
        source = samples / "sample-input.csv" if task == "table" else samples
        given += [f"predict.input={source}", f"predict.output={tmp_path / 'x.parquet'}"]
    folder = tmp_path / "run"
    command = ("python", "-m", module, pipeline, *given, f"hydra.run.dir={folder}")
    done = run(trained, *command, **environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (folder / "report.html").stat().st_size > 1000
    assert "predict" not in pipeline or (tmp_path / "x.parquet").stat().st_size > 1000


SERVED = {"mymodel": ("0_disc", "1_square"), "mytrees": ("healthy", "ill")}
"""By model, the classes of what the templates draw."""
KINDS = {".jpg": "image/jpeg", ".csv": "text/csv", ".json": "application/json"}


@pytest.mark.slow
@pytest.mark.parametrize("model", SERVED)
def test_it_serves_at_once(
    model: str, trained: Path, table: Path, environment, tmp_path: Path
) -> None:
    port, home = free_port(), trained / "deploy" / model / "V1"
    command = [str(trained / "deploy" / "serve.py"), "--deployment", f"{model}/V1"]
    with running(
        [*command, "--port", str(port)], port, "/readyz", os.environ | environment, tmp_path / "log"
    ) as server:
        samples = sorted(home.glob("sample-input.*"))
        assert len(samples) == 2
        for sample in samples:
            kind = {"Content-Type": KINDS[sample.suffix]}
            url = f"{server.address}/predict"
            answer = requests.post(url, data=sample.read_bytes(), headers=kind)
            assert answer.status_code == 200, answer.text
            assert answer.json()["predictions"][0]["label"] in SERVED[model]
        described = requests.get(f"{server.address}/model").json()
        assert set(described["labels"]["es"]) == set(SERVED[model])
