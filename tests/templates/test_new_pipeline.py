"""`make new-pipeline` reuses what there is, overwrites nothing, and refuses bad names."""

import re
from pathlib import Path

import pytest

from tests import structure
from tests.common import models
from tests.templates.common import added, make, run


@pytest.fixture
def generated(repository: Path):
    """Runs the generator; what it wrote is gone afterwards."""
    yield lambda model, dataset: make(
        repository, "new-pipeline", f"MODEL={model}", f"DATASET={dataset}"
    )
    run(repository, "git", "checkout", "--quiet", ".")
    run(repository, "git", "clean", "-qfd", "--exclude=.venv")


def test_a_pipeline_is_some_small_files_that_keep_every_rule(repository: Path, generated) -> None:
    done = generated("myNet", "myImages2")
    assert done.returncode == 0, done.stderr
    files = added(repository)
    lines = [len((repository / f).read_text().splitlines()) for f in files if ".jpg" not in f]
    assert len(files) < 30 and max(lines) < 60
    assert f"{sum(lines):5} lines in {len(files)} files" in done.stdout
    assert [problem for check in structure.CHECKS for problem in check(repository)] == []
    for command in (["check"], ["format", "--check"]):
        tidy = run(repository, "python", "-m", "ruff", *command, *(f for f in files if ".py" in f))
        assert tidy.returncode == 0, tidy.stdout
    scripts = [
        (repository / home / "ecr.sh") for home in ("deploy/myNet/V1", "deploy/resnet50v2ft/V1")
    ]
    assert scripts[0].read_bytes() == scripts[1].read_bytes()
    assert scripts[0].stat().st_mode == scripts[1].stat().st_mode


def test_a_model_and_a_dataset_that_exist_are_reused(repository: Path, generated) -> None:
    done = generated("resnet50v2ft", "kidney2")
    assert done.returncode == 0, done.stderr
    folders = {str(Path(file).parent) for file in added(repository)}
    training = "train/resnet50v2ft-kidney2_v1"
    home = "deploy/resnet50v2ft/V2"
    assert folders == {training, f"{training}/steps", home, "conf/pipeline"}
    assert (repository / "conf" / "pipeline" / "train_resnet50v2ft-kidney2.yaml").is_file()
    assert "resnet50v2ft-kidney2: {" in (repository / "dvc.yaml").read_text()


def test_a_new_model_learns_from_a_dataset_that_exists(repository: Path, generated) -> None:
    done = generated("mynet", "kvasir4")
    assert done.returncode == 0, done.stderr
    assert not [file for file in added(repository) if file.startswith("datasets/")]
    assert (repository / "models" / "mynet" / "model.py").is_file()
    assert (repository / "deploy" / "mynet" / "V1" / "sample-input.jpg").stat().st_size > 1000


@pytest.mark.parametrize(
    ("model", "dataset", "reason"),
    [
        ("my-net", "frames", "MODEL=my-net: 2 to 24 letters and digits"),
        ("net", "my_frames", "DATASET=my_frames: 2 to 24 letters and digits"),
        ("Net", "frames", "MODEL=Net: 2 to 24 letters and digits, a small letter first"),
        ("", "frames", "MODEL=: 2 to 24"),
        ("n" * 25, "frames", "2 to 24"),
        ("class", "frames", "MODEL=class is the name of something else"),
        ("numpy", "frames", "MODEL=numpy is the name of something else"),
        ("net", "common", "DATASET=common is the name of something else"),
        ("serving", "frames", "MODEL=serving is the name of something else"),
        ("net", "net", "one name for both"),
        ("treesurvival", "frames", "MODEL=treesurvival is not for images"),
        ("resnet50v2ft", "kvasir4", "train/resnet50v2ft-kvasir4_v1 exists and is not overwritten"),
    ],
)
def test_what_would_not_work_is_refused(
    model: str, dataset: str, reason: str, repository: Path, generated
) -> None:
    done = generated(model, dataset)
    assert done.returncode != 0
    assert reason in done.stderr and "Traceback" not in done.stderr
    assert added(repository) == []


def test_a_file_in_the_way_is_not_overwritten(repository: Path, generated) -> None:
    mine = repository / "conf" / "model" / "mynet.yaml"
    mine.write_text("mine\n")
    done = generated("mynet", "myimages")
    assert re.search(r"conf/model/mynet\.yaml exists and is not overwritten", done.stderr)
    assert mine.read_text() == "mine\n"
    assert "mynet" not in models(repository)
