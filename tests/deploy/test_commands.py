"""The commands around a service: import, promote, predict; and what a mistake in them says."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import requests

from datasets.common.images import READER, shown
from tests.common import ROOT, log_smallest
from tests.datasets.odd_files import LATIN, REASONS, lay
from tests.deploy.common import MODEL, WINDOW, Trained, run_script

pytestmark = pytest.mark.slow

CREATE = "deploy/resnet50v2ft/V1/create_bento_model.py"
LABELS = """
import bentoml, sys
model = bentoml.models.get(sys.argv[1])
print(model.info.labels, model.info.metadata["version"], bool(model.custom_objects))
print(model.info.metadata["dicom_window"])
"""


def test_a_model_is_imported_with_where_it_comes_from(trained: Trained) -> None:
    done = run_script(trained, CREATE, "--model-uri", f"models:/{MODEL}@challenger")
    assert done.returncode == 0, done.stderr
    tag = done.stdout.split()[0].rstrip(":")
    assert tag.startswith(f"{MODEL}:")
    assert f"version 1, run {trained.run_id}" in done.stdout
    seen = run_script(trained, "-c", LABELS, tag).stdout
    assert seen.splitlines().pop() == str(list(WINDOW))
    labels, version, custom = re.match(r"(.*\}) (\d) (\w+)\n", seen).groups()  # type: ignore[union-attr]
    assert version == "1"
    assert custom == "False"
    for key, value in {
        "run_id": trained.run_id,
        "git_revision": "a" * 40,
        "data_digest": "d" * 63,  # BentoML takes labels of 63 characters
        "pipeline": "train_resnet50v2ft",
    }.items():
        assert f"'{key}': '{value}'" in labels


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            [],
            r"has no champion: choose one \(make promote .*there is version 1, 2\), or name",
        ),
        (["--model-uri", f"models:/{MODEL}/9"], "cannot be found: .*version=9"),
        (["--model-uri", "/a/folder"], "expected runs:/... or models:/..."),
        (["--model-uri", f"models:/{MODEL}/x"], "expected models:/<name>/<version> or @<alias>"),
        (["--model-uri", "runs:/{run}/keras"], "is not a serving model"),
    ],
)
def test_what_cannot_be_imported_says_why(
    arguments: list[str], reason: str, trained: Trained
) -> None:
    given = [argument.format(run=trained.run_id) for argument in arguments]
    done = run_script(trained, CREATE, *given)
    assert done.returncode == 1
    assert re.search(reason, done.stderr), done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_that_saw_other_pixels_is_refused(trained: Trained, tmp_path: Path) -> None:
    uri = trained.environment["MLFLOW_TRACKING_URI"]
    facts = {"classes": ["a", "b"], "image_size": 32, "reader": READER - 1}
    run = log_smallest(uri, tmp_path / "other_reader", metadata=facts)
    done = run_script(trained, CREATE, "--model-uri", f"runs:/{run}/serving")
    assert done.returncode == 1
    assert "was trained on other pixels than this service reads" in done.stderr


STORED = """
import bentoml, sys
from pathlib import Path
from mlflow.models import Model
folder = Path(bentoml.models.get(sys.argv[1]).path_of("mlflow_model"))
print(*sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()))
print(Model.load(str(folder)).saved_input_example_info, Model.load(str(folder)).signature)
"""
OLD_IMPORT = """
import bentoml, sys
from deploy.importing.registry import find
from deploy.importing.store import import_model
source = find(sys.argv[1], "old-model")
facts = {"model_id": source.model_id, "name": source.name, "version": source.version,
         "run_id": source.run_id, "classes": list(source.classes)}
old = bentoml.mlflow.import_model("old-model", source.uri, metadata=facts)
print(old.tag, import_model(source, "old-model").tag, import_model(source, "old-model").tag)
"""


def test_what_older_models_carry_does_not_reach_the_service(
    trained: Trained, tmp_path: Path
) -> None:
    from mlflow.models import infer_signature

    uri = trained.environment["MLFLOW_TRACKING_URI"]
    facts = {"classes": ["a", "b"], "image_size": 32, "reader": READER}
    example = np.full(1, 7.0, np.float32)
    given = {"input_example": example, "signature": infer_signature(example, example)}
    run = log_smallest(uri, tmp_path / "old", metadata=facts, **given)
    done = run_script(trained, "-c", OLD_IMPORT, f"runs:/{run}/serving")
    assert done.returncode == 0, done.stderr
    old, stripped, again = done.stdout.split()[-3:]
    assert old != stripped == again, "a copy with the example in it is not good enough"
    assert "input_example.json" in run_script(trained, "-c", STORED, old).stdout
    files, described = run_script(trained, "-c", STORED, stripped).stdout.splitlines()[:2]
    assert files == "MLmodel model.onnx"
    assert described.startswith("None inputs:"), "no example, and the signature as it was"


def test_without_a_database_the_way_out_is_named(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    done = subprocess.run(
        [sys.executable, ROOT / CREATE],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "train first (make train)" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_predict_prints_what_the_service_answers(
    trained: Trained, service: str, frames: list[bytes], tmp_path: Path
) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.png").write_bytes(frames[0])
    (tmp_path / "deep" / "b.png").write_bytes(frames[1])
    (tmp_path / "notes.txt").write_text("no image")
    done = run_script(trained, "deploy/predict.py", str(tmp_path))
    assert done.returncode == 0, done.stderr
    rows = {row["file"]: row for row in csv.DictReader(done.stdout.splitlines())}
    assert set(rows) == {"a.png", "deep/b.png", "notes.txt"}
    assert "not an image" in rows["notes.txt"]["error"]
    for name in ("a.png", "deep/b.png"):
        content = (tmp_path / name).read_bytes()
        answer = requests.post(f"{service}/predict", files={"image": content}).json()
        [expected] = answer["predictions"]
        assert rows[name]["label"] == expected["label"]
        for label, probability in expected["probabilities"].items():
            assert float(rows[name][label]) == pytest.approx(probability, abs=1e-5)

    table = run_script(trained, "deploy/predict.py", str(tmp_path / "a.png"))
    assert table.returncode == 0, table.stderr
    assert table.stdout.split()[0] == rows["a.png"]["label"]
    assert len(table.stdout.splitlines()) == 4


def test_odd_files_of_a_folder_are_lines_with_a_reason(
    trained: Trained, frames: list[bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    names = lay(folder)
    (folder / "a.png").write_bytes(frames[0])
    done = run_script(trained, "deploy/predict.py", str(folder))
    assert done.returncode == 0, done.stderr
    rows = {row["file"]: row for row in csv.DictReader(done.stdout.splitlines())}
    assert set(rows) == names | {"a.png"}
    assert rows["a.png"]["label"] and not rows["a.png"]["error"]
    for name, reason in REASONS.items():
        assert reason in rows[name]["error"]
    for name in ("pipe.png", LATIN):
        alone = run_script(trained, "deploy/predict.py", str(folder / name))
        assert alone.returncode == 1 and "Traceback" not in alone.stderr
        assert REASONS[shown(name)] in alone.stderr


def test_a_champion_is_only_what_a_finished_run_made(trained: Trained, service: str) -> None:
    # After the service, which says that it serves a challenger, and in one test: the steps follow.
    def promote(version: str) -> subprocess.CompletedProcess[str]:
        command = ["deploy/promote.py", "--model", MODEL, "--version", version]
        return run_script(trained, *command, "--force-because", "it logged no predictions")

    unknown = promote("7")
    assert unknown.returncode == 1
    assert "has no version '7'; there is 1, 2" in unknown.stderr
    unfinished = promote("2")
    assert unfinished.returncode == 1
    assert f"run {trained.unfinished}, which is RUNNING" in unfinished.stderr
    first = promote("1")
    assert first.returncode == 0, first.stderr
    assert "version 1 is the champion now; there was none before" in first.stdout
    assert "is the champion already" in promote("1").stdout
    imported = run_script(trained, CREATE)
    assert imported.returncode == 0, imported.stderr
    assert f"{MODEL} version 1, run {trained.run_id}" in imported.stdout
