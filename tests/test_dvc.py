"""dvc.yaml: it lists what the folders hold, and only what depends on a change runs again."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo

from conf import stages
from tests.common import ROOT, clone


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone whose stages all count as run: every out is there, and dvc.lock says so."""
    root = clone(tmp_path_factory.mktemp("dvc") / "project")
    with Repo(str(root)) as repo:
        for out in repo.index.outs:
            Path(out.fs_path).parent.mkdir(parents=True, exist_ok=True)
            Path(out.fs_path).write_text("{}")
    dvc(root, "commit", "--quiet", "--force")
    return root


def dvc(root: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def changed(root: Path) -> set[str]:
    """Stages that `dvc repro` would run because of what has changed since."""
    with Repo(str(root)) as repo:
        return {address.rpartition(":")[2] for address in repo.status()}


def test_it_lists_the_datasets_and_trainings_that_there_are() -> None:
    assert stages.listed(ROOT) == stages.found(ROOT), "python -m conf.stages writes the lists"


def test_a_list_that_is_written_differs_in_nothing_else(project: Path, tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    shutil.copytree(project / "conf" / "pipeline", tmp_path / "conf" / "pipeline")
    shutil.copy(project / "dvc.yaml", tmp_path)
    before = (tmp_path / "dvc.yaml").read_text()
    stages.write(tmp_path)
    assert (tmp_path / "dvc.yaml").read_text() == before
    (tmp_path / "conf" / "pipeline" / "train_resnet50v2ft.yaml").unlink()
    stages.write(tmp_path)
    removed = set(before.splitlines()) - set((tmp_path / "dvc.yaml").read_text().splitlines())
    assert [line.split(":")[0].strip() for line in removed] == ["resnet50v2ft"]


def test_every_dataset_and_training_has_a_stage(project: Path) -> None:
    datasets, trainings = stages.found(project)
    with Repo(str(project)) as repo:
        names = {stage.name for stage in repo.index.stages}
    assert names == {f"dataset@{n}" for n in datasets} | {f"train@{n}" for n in trainings}


def test_nothing_runs_when_nothing_changed(project: Path) -> None:
    assert changed(project) == set()
    assert "Running stage" not in dvc(project, "repro")


@pytest.mark.parametrize(
    ("path", "kinds"),
    [
        ("datasets/kvasir4/common.py", {"dataset@kvasir4", "train of kvasir4"}),
        ("models/resnet50v2ft/model.py", {"train@resnet50v2ft"}),
        ("conf/model/resnet50v2ft.yaml", {"train@resnet50v2ft"}),
        ("train/resnet50v2ft-kvasir4_v1/steps/split.py", {"train@resnet50v2ft"}),
        ("train/common/fitting/trainer.py", {"every train"}),
        ("conf/schema/images.py", {"every dataset", "every train"}),
        ("datasets/kvasir4/notebooks/look.ipynb", set()),
        ("deploy/serving/images/service.py", set()),
    ],
)
def test_only_what_depends_on_a_change_would_run(project: Path, path: str, kinds: set[str]) -> None:
    datasets, trainings = stages.found(project)
    groups = {
        "train of kvasir4": {
            f"train@{n}" for n, t in trainings.items() if t["dataset"] == "kvasir4"
        },
        "every train": {f"train@{name}" for name in trainings},
        "every dataset": {f"dataset@{name}" for name in datasets},
    }
    kept = (project / path).read_text()
    addition = "\nhidden: 64\n" if path.endswith(".yaml") else "\n# changed\n"
    (project / path).write_text(kept.replace("\nhidden: 32\n", "\n") + addition)
    try:
        assert changed(project) == set().union(*(groups.get(kind, {kind}) for kind in kinds))
    finally:
        (project / path).write_text(kept)


@pytest.mark.slow
def test_a_dataset_runs_for_real_and_then_not_again(project: Path) -> None:
    home = project / "reports" / "dataset_treesurvival"
    shutil.rmtree(home)
    first = dvc(project, "repro", "--force", "--single-item", "dataset@treesurvival")
    assert "Running stage 'dataset@treesurvival'" in first
    facts = json.loads((home / "data.json").read_text())
    assert facts["dataset"] == "treesurvival" and len(facts["digest"]) == 64
    assert "dataset@treesurvival" not in changed(project)


def test_a_stage_is_told_which_raw_data_it_depends_on(project: Path) -> None:
    raw = project / "datasets" / "kvasir4" / "raw"
    raw.mkdir()
    (raw / "frame.jpg").write_bytes(b"frame")
    dvc(project, "add", "--quiet", str(raw))
    assert "dataset@kvasir4" in changed(project)
