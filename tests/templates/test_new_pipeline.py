"""`make new-pipeline` reuses what there is, overwrites nothing, and refuses bad names."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests import structure
from tests.common import ROOT, models
from tests.templates.common import added, make, run

pytestmark = pytest.mark.slow

Generate = Callable[..., "CompletedProcess[str]"]
MAKE = ("make", "--old-file", ".venv/.locked", "new-pipeline")
TASKS = ("train", "study", "predict")
"""Of the pipelines that belong to a pair of a model and a dataset."""
HOSTILE = "a$(shell touch made)\"; touch made; \"`touch made`' touch made '\ntouch made"


@pytest.fixture
def generated(repository: Path) -> Iterator[Generate]:
    """Runs the generator; what it wrote is gone afterwards."""

    def generate(model: str, dataset: str, *more: str) -> "CompletedProcess[str]":
        return make(repository, "new-pipeline", f"MODEL={model}", f"DATASET={dataset}", *more)

    yield generate
    run(repository, "git", "checkout", "--quiet", ".")
    run(repository, "git", "clean", "-qfd", "--exclude=.venv")


@pytest.mark.parametrize("task", ["image", "table"])
def test_a_pipeline_is_some_small_files_that_keep_every_rule(
    task: str, repository: Path, generated: Generate
) -> None:
    model, dataset = "myNet".ljust(24, "x"), "myData2".ljust(24, "y")  # the longest there may be
    done = generated(model, dataset, f"TASK={task}")
    assert done.returncode == 0, done.stderr
    files = added(repository)
    lines = [len((repository / f).read_text().splitlines()) for f in files if ".jpg" not in f]
    assert len(files) < 35 and max(lines) < 60
    assert f"{sum(lines):5} lines in {len(files)} files" in done.stdout
    assert [problem for check in structure.CHECKS for problem in check(repository)] == []
    for command in (["check"], ["format", "--check"]):
        tidy = run(repository, "python", "-m", "ruff", *command, *(f for f in files if ".py" in f))
        assert tidy.returncode == 0, tidy.stdout
    for name in (f"study_{dataset}", f"study_{model}", f"predict_{model}", f"dataset_{dataset}"):
        assert f"conf/pipeline/{name}.yaml" in files
    scripts = [
        (repository / home / "ecr.sh") for home in (f"deploy/{model}/V1", "deploy/resnet50v2ft/V1")
    ]
    assert scripts[0].read_bytes() == scripts[1].read_bytes()
    assert scripts[0].stat().st_mode == scripts[1].stat().st_mode


def test_a_model_and_a_dataset_that_exist_are_reused(repository: Path, generated: Generate) -> None:
    done = generated("resnet50v2ft", "kidney2")
    assert done.returncode == 0, done.stderr
    files = added(repository)
    training, home = "train/resnet50v2ft-kidney2_v1", "deploy/resnet50v2ft/V2"
    folders = {str(Path(file).parent) for file in files}
    assert folders == {training, f"{training}/steps", home, "conf/pipeline"}
    written = {file for file in files if file.startswith("conf/")}
    expected = {f"conf/pipeline/{task}_resnet50v2ft-kidney2.yaml" for task in TASKS}
    assert written == expected
    assert "resnet50v2ft-kidney2: {" in (repository / "dvc.yaml").read_text()
    assert "Left as they were: conf/pipeline/dataset_kidney2.yaml" in done.stdout
    assert "datasets/kidney2, models/resnet50v2ft." in done.stdout


def test_of_a_pair_that_lacks_a_deployment_only_that_is_written(
    repository: Path, generated: Generate
) -> None:
    shutil.rmtree(repository / "deploy" / "mobilenetv2ft")
    done = generated("mobilenetv2ft", "kvasir4")
    assert done.returncode == 0, done.stderr
    assert "train/mobilenetv2ft-kvasir4_v1." in done.stdout
    home = Path("deploy", "mobilenetv2ft", "V1")
    assert {path.name for path in (repository / home).iterdir()} == {
        path.name for path in (ROOT / home).iterdir() if path.is_file()
    }
    for name in ("common.py", "create_bento_model.py", "ecr.sh"):
        assert (repository / home / name).read_bytes() == (ROOT / home / name).read_bytes(), name
    changed = run(repository, "git", "status", "--porcelain").stdout.split()[1::2]
    homes = {str(Path(path).parent) for path in changed if path != ".venv"}
    assert homes <= {str(home)}, changed


def test_a_table_is_added_to_a_model_that_exists(repository: Path, generated: Generate) -> None:
    done = generated("treesurvival", "mytable", "TASK=table")
    assert done.returncode == 0, done.stderr
    files = added(repository)
    assert not [file for file in files if file.startswith("models/")]
    for name in ("train_treesurvival-mytable", "study_mytable", "study_treesurvival-mytable"):
        assert f"conf/pipeline/{name}.yaml" in files
    assert (repository / "deploy/treesurvival/V2/sample-input.csv").read_text().startswith("Age,")


def test_a_new_model_learns_from_a_dataset_that_exists(
    repository: Path, generated: Generate
) -> None:
    done = generated("mynet", "kvasir4")
    assert done.returncode == 0, done.stderr
    assert not [file for file in added(repository) if file.startswith("datasets/")]
    assert (repository / "models" / "mynet" / "model.py").is_file()
    home = repository / "deploy" / "mynet" / "V1"
    assert (home / "sample-input.jpg").stat().st_size > 1000
    assert "Colitis ulcerosa" in (home / "common.py").read_text()  # as other deployments call it


@pytest.mark.parametrize(
    ("model", "dataset", "more", "reason"),
    [
        ("my-net", "frames", "", "MODEL=my-net: 2 to 24 letters and digits"),
        ("net", "my_frames", "", "DATASET=my_frames: 2 to 24 letters and digits"),
        ("Net", "frames", "", "MODEL=Net: 2 to 24 letters and digits, a small letter first"),
        ("", "frames", "", "MODEL=: 2 to 24"),
        ("n" * 25, "frames", "", "2 to 24"),
        ("net", "../frames", "TASK=table", "DATASET=../frames: 2 to 24"),
        ("class", "frames", "", "MODEL=class is the name of something else"),
        ("numpy", "frames", "", "MODEL=numpy is the name of something else"),
        ("net", "common", "", "DATASET=common is the name of something else, datasets/common"),
        ("serving", "frames", "", "MODEL=serving is the name of something else, deploy/serving"),
        ("predict", "frames", "", "MODEL=predict is the name of something else, deploy/predict"),
        ("tables", "frames", "", "MODEL=tables is the name of something else, models/tables"),
        ("net", "remote", "", "DATASET=remote is the name of something else, datasets/remote"),
        ("kvasir4", "frames", "", "MODEL=kvasir4 is the name of something else, datasets/kvasir4"),
        ("resnet50V2FT", "frames", "", "is the name of something else, models/resnet50v2ft"),
        ("net", "net", "", "one name for both"),
        ("treesurvival", "frames", "", "MODEL=treesurvival is for TASK=table, not for TASK=image"),
        ("net", "kvasir4", "TASK=table", "DATASET=kvasir4 is for TASK=image, not for TASK=table"),
        ("net", "frames", "TASK=Table", "TASK=Table is not known; choices: image, table"),
        ("treesurvival", "treesurvival", "TASK=table", "nothing is missing"),
        ("resnet50v2ft", "kvasir4", "", "nothing is missing, and nothing is overwritten"),
    ],
)
def test_what_would_not_work_is_refused(
    model: str, dataset: str, more: str, reason: str, repository: Path, generated: Generate
) -> None:
    done = generated(model, dataset, *more.split())
    assert done.returncode != 0
    assert reason in done.stderr and "Traceback" not in done.stderr
    assert added(repository) == []


@pytest.mark.parametrize("what", ["MODEL", "DATASET", "TASK"])
def test_neither_make_nor_the_shell_runs_what_stands_in_a_name(
    what: str, repository: Path, generated: Generate
) -> None:
    given = {"MODEL": "net", "DATASET": "frames", "TASK": "image"} | {what: HOSTILE}
    words = [f"{key}={value}" for key, value in given.items()]
    for done in (make(repository, "new-pipeline", *words), run(repository, *MAKE, **given)):
        assert done.returncode != 0
        assert f"error: {what}=a$(shell touch made)" in done.stderr
    assert added(repository) == []


def test_a_file_in_the_way_is_not_overwritten(repository: Path, generated: Generate) -> None:
    mine = repository / "conf" / "model" / "mynet.yaml"
    mine.write_text("mine\n")
    done = generated("mynet", "myimages")
    assert re.search(r"conf/model/mynet\.yaml exists and is not overwritten", done.stderr)
    assert mine.read_text() == "mine\n"
    assert "mynet" not in models(repository)
