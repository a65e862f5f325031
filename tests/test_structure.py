"""The tree keeps the rules of CONTRIBUTING.md, and each rule is seen to fail on a bad tree."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import structure
from tests.common import ROOT, datasets, models, pipelines, trainings

CHECKS = {check.__name__: check for check in structure.CHECKS}

GOOD_TREE = {
    "conf/__init__.py": "",
    "conf/entry.py": "def run():\n    import pandas\n",
    "conf/dataset/frames.yaml": "",
    "conf/model/net.yaml": "",
    "conf/pipeline/train_net.yaml": "# python -m train +pipeline=train_net\n#\n# A net.\n",
    "conf/experiment/best.yaml": "# python -m train +experiment=best\n#\n# The best of all.\n",
    "datasets/__init__.py": "",
    "datasets/__main__.py": "from conf.entry import run\n",
    "datasets/common.py": "import numpy\n",
    "datasets/frames/__init__.py": "",
    "datasets/frames/common.py": "",
    "datasets/frames/dataset.py": "from ..common import x\nfrom .common import y\nimport conf\n",
    "models/common.py": "import keras\n",
    "models/net/__init__.py": '"""Net.\n\n# Motivation\n```mermaid\n```\n# Changes\n"""\n',
    "models/net/common.py": "",
    "models/net/model.py": "from models.common import freeze\n",
    "train/__main__.py": "from conf.entry import run\n",
    "train/common/tracking/log.py": "import mlflow\nfrom datasets.common import x\n",
    "train/net-frames_v1/pipeline.py": (
        "from omegaconf import DictConfig\nfrom ..common.run import tracked\n"
        "from .steps.train import fit\n\n\ndef train(config: DictConfig):\n    return fit(config)\n"
    ),
    "train/net-frames_v1/steps/train.py": "from train.common.tracking.log import log\n",
    "deploy/net/V1/create_bento_model.py": "import bentoml\n",
    "deploy/net/V1/common.py": "",
    "deploy/net/V1/service.py": "from datasets.common.images import read\n",
    "datasets/common/images/decode.py": "from datasets.common.images.types import x\nimport PIL\n",
    "datasets/common/images/types.py": "",
    "deploy/serving/http/servable.py": "from .limits import Limits\n",
    "deploy/serving/http/limits.py": "",
    "deploy/serving/images/decode.py": "import datasets.common.images\nfrom ..http import y\n",
    "deploy/serving/tables/records.py": "from ..http.servable import Facts\n",
    "deploy/promote.py": "from train.common.tracking import promotion\n",
    "deploy/net/V1/ecr.sh": "",
    "deploy/net/V1/sample-input.json": "{}",
}
"""The smallest tree that keeps every rule: path and content."""

BAD_CHANGES: dict[str, tuple[str, str, str | None, str]] = {
    # what is wrong: (check, file, new content or None to remove the file, part of the message)
    "conf imports a dataset": (
        "import_problems", "conf/entry.py", "import datasets.common\n", "imports datasets.common"),
    "conf imports pandas at once": (
        "import_problems", "conf/entry.py", "import pandas\n", "pandas at module level"),
    "an entry imports TensorFlow at once": (
        "import_problems", "train/__main__.py", "import tensorflow as tf\n", "--help would wait"),
    "a dataset imports a model": (
        "import_problems", "datasets/frames/dataset.py", "from models.net import model\n",
        "imports models.net.model"),
    "a dataset imports another dataset": (
        "import_problems", "datasets/frames/dataset.py", "from datasets.other import x\n",
        "imports datasets.other.x"),
    "a dataset climbs to a model by dots": (
        "import_problems", "datasets/frames/dataset.py", "from ...models.net import model\n",
        "imports models.net.model"),
    "a model imports a dataset inside a function": (
        "import_problems", "models/net/model.py", "def f():\n    import datasets.common\n",
        "imports datasets.common"),
    "a model imports MLflow": (
        "import_problems", "models/net/model.py", "import mlflow.keras\n",
        "only modules of train/common/tracking"),
    "a dataset imports Hydra": (
        "import_problems", "datasets/frames/dataset.py", "import hydra\n", "imports hydra"),
    "a step imports MLflow": (
        "import_problems", "train/net-frames_v1/steps/train.py", "from mlflow import log_metric\n",
        "only modules of train/common/tracking"),
    "a step imports MLflow by its name": (
        "import_problems", "train/net-frames_v1/steps/train.py",
        "import importlib\nimportlib.import_module('mlflow')\n",
        "only modules of train/common/tracking"),
    "data imports what trains": (
        "import_problems", "train/common/data/split.py",
        "from train.common.fitting import trainer\n", "imports train.common.fitting.trainer"),
    "common imports a pipeline": (
        "import_problems", "train/common/tracking/log.py",
        "import importlib\nimportlib.import_module('train.net-frames_v1.pipeline')\n",
        "imports train.net-frames_v1.pipeline"),
    "a deployment imports the project": (
        "import_problems", "deploy/net/V1/service.py", "from models.net import model\n",
        "only: datasets.common.images"),
    "a deployment imports more of datasets than the reader": (
        "import_problems", "deploy/net/V1/common.py", "from datasets.common import folders\n",
        "only: datasets.common.images"),
    "another command of deploy imports training": (
        "import_problems", "deploy/serve.py", "from train.common.tracking import promotion\n",
        "imports train.common.tracking.promotion"),
    "a model imports a deployment": (
        "import_problems", "models/net/model.py", "from deploy.serving import http\n",
        "imports deploy.serving.http"),
    "a service imports what brings models from MLflow": (
        "import_problems", "deploy/serving/service.py", "from deploy.importing import store\n",
        "only: deploy.serving"),
    "the room http imports that of images": (
        "import_problems", "deploy/serving/http/limits.py", "from ..images.decode import x\n",
        "imports deploy.serving.images.decode.x"),
    "the room of images imports that of tables": (
        "import_problems", "deploy/serving/images/decode.py", "from ..tables import records\n",
        "imports deploy.serving.tables.records"),
    "the room of tables imports the reader": (
        "import_problems", "deploy/serving/tables/records.py",
        "from datasets.common.images import read\n", "imports datasets.common.images.read"),
    "two modules import each other": (
        "circle_problems", "datasets/frames/common.py", "from .dataset import x\n",
        "datasets.frames.common -> datasets.frames.dataset"),
    "a circle of three is hidden by a function": (
        "circle_problems", "deploy/serving/http/limits.py",
        "def f():\n    from ..tables.records import x\n",
        "limits -> deploy.serving.tables.records -> deploy.serving.http.servable -> deploy"),
    "a circle is hidden by TYPE_CHECKING": (
        "circle_problems", "deploy/serving/http/limits.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .servable import Facts\n",
        "deploy.serving.http.limits -> deploy.serving.http.servable"),
    "the reader imports the project": (
        "import_problems", "datasets/common/images/decode.py", "import conf\n",
        "only: datasets.common.images"),
    "the reader imports pandas inside a function": (
        "import_problems", "datasets/common/images/decode.py", "def f():\n    import pandas\n",
        "it may import only PIL, datasets, numpy, pydicom"),
    "a package around the reader holds code": (
        "reader_problems", "datasets/__init__.py", '"""Datasets."""\nx = 1\n',
        "holds a docstring and nothing else"),
    "a dataset has no common.py": (
        "file_problems", "datasets/frames/common.py", None, "datasets/frames/common.py is missing"),
    "a model has no model.py": (
        "file_problems", "models/net/model.py", None, "models/net/model.py is missing"),
    "a model has no configuration": (
        "file_problems", "conf/model/net.yaml", None, "conf/model/net.yaml is missing"),
    "a dataset's name has a hyphen": (
        "file_problems", "datasets/my-frames/dataset.py", "", "letters and digits only"),
    "deploy has an __init__.py": (
        "file_problems", "deploy/net/V1/__init__.py", "", "deploy has none"),
    "a deployment has no service": (
        "file_problems", "deploy/net/V1/service.py", None, "service.py is missing"),
    "a deployment has no sample": (
        "file_problems", "deploy/net/V1/sample-input.json", None, "sample-input.* is missing"),
    "a module is called utils": (
        "file_problems", "datasets/utils.py", "", "call it by its subject"),
    "a folder at the root is called src": (
        "file_problems", "src/x.txt", "", "call it by its subject"),
    "a training folder has no version": (
        "training_problems", "train/net-frames/pipeline.py", "", "<model>-<dataset>_v<N>"),
    "a training folder names no model": (
        "training_problems", "train/other-frames_v1/pipeline.py", "", "no models/other"),
    "a training has no pipeline": (
        "training_problems", "train/net-frames_v1/pipeline.py", None, "pipeline.py is missing"),
    "train takes something else": (
        "training_problems", "train/net-frames_v1/pipeline.py", "def train(config: dict): ...\n",
        "has no train(config: DictConfig)"),
    "a pipeline has no task": (
        "pipeline_problems", "conf/pipeline/net.yaml", "", "expected <task>_<name>.yaml"),
    "a pipeline shows no command": (
        "pipeline_problems", "conf/pipeline/train_net.yaml", "# @package _global_\n",
        "python -m train +pipeline=train_net"),
    "a pipeline shows the command of another": (
        "pipeline_problems", "conf/pipeline/study_net.yaml",
        "# python -m train +pipeline=study_net\n", "python -m models +pipeline=study_net"),
    "a study of a dataset shows the command of models": (
        "pipeline_problems", "conf/pipeline/study_frames.yaml",
        "# python -m models +pipeline=study_frames\ndefaults:\n  - /recipe: image_dataset_study\n",
        "python -m datasets +pipeline=study_frames"),
    "a pipeline says nothing of itself": (
        "pipeline_problems", "conf/pipeline/train_net.yaml",
        "# python -m train +pipeline=train_net\n#\ndefaults:\n", "say below the command"),
    "an experiment shows the command of another": (
        "preset_problems", "conf/experiment/best.yaml",
        "# python -m train +experiment=worst\n#\n# The best.\n", "+experiment=best"),
    "a preset for debugging shows no command": (
        "preset_problems", "conf/debug/fast.yaml", "# Fast.\nenv:\n", "+debug=fast"),
    "a model says no motivation": (
        "model_card_problems", "models/net/__init__.py", '"""Net. Changes ```mermaid"""\n',
        "has no motivation"),
    "a file is too long": (
        "length_problems", "models/net/model.py", '"""M."""\n' + "# why\n" * 300, "has 301 lines"),
}  # fmt: skip


@pytest.fixture
def good_tree(tmp_path: Path) -> Path:
    for name, content in GOOD_TREE.items():
        write(tmp_path / name, content)
    return tmp_path


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.mark.parametrize("check", structure.CHECKS, ids=lambda check: check.__name__)
def test_this_tree_keeps_the_rule(check: Callable[[Path], list[str]]) -> None:
    problems = check(ROOT)
    assert not problems, "\n" + "\n".join(problems)


@pytest.mark.parametrize("check", structure.CHECKS, ids=lambda check: check.__name__)
def test_a_good_tree_passes(check: Callable[[Path], list[str]], good_tree: Path) -> None:
    assert check(good_tree) == []


@pytest.mark.parametrize("wrong", BAD_CHANGES)
def test_a_bad_tree_is_refused_when(wrong: str, good_tree: Path) -> None:
    check, name, content, expected = BAD_CHANGES[wrong]
    if content is None:
        (good_tree / name).unlink()
    else:
        write(good_tree / name, content)
    problems = CHECKS[check](good_tree)
    assert any(expected in problem for problem in problems), problems


def test_every_rule_is_seen_to_fail() -> None:
    assert {change[0] for change in BAD_CHANGES.values()} == set(CHECKS)


def test_a_file_of_300_lines_has_one_subject(good_tree: Path) -> None:
    write(good_tree / "models/net/model.py", '"""M."""\n' + "# why\n" * 299)
    assert structure.length_problems(good_tree) == []


def test_the_folders_are_discovered(good_tree: Path) -> None:
    assert models(good_tree) == ["net"] and datasets(good_tree) == ["frames"]
    assert trainings(good_tree) == ["net-frames_v1"]
    assert pipelines(good_tree, "train") == ["train_net"]
