"""Rules of folders: names, and the files that a dataset, model, deployment or training has."""

import ast
import re
from pathlib import Path

from tests.common import folders
from tests.structure.imports import JOBS
from tests.structure.tree import CODE, parsed

FORBIDDEN_NAMES = {"utils", "core", "lib", "src"}
PIECE = re.compile(r"[a-z][a-zA-Z0-9]*")
TRAINING = re.compile(r"(?P<model>[a-zA-Z0-9]+)-(?P<dataset>[a-zA-Z0-9]+)_v[1-9][0-9]*")


def file_problems(root: Path) -> list[str]:
    """Missing strict files, ill-named folders, forbidden names, an __init__.py in deploy."""
    problems = []
    for layer, strict in (("datasets", "dataset.py"), ("models", "model.py")):
        kind = layer.removesuffix("s")
        for name in folders(root / layer):
            if not PIECE.fullmatch(name):
                problems.append(f"{layer}/{name}: letters and digits only, a small one first")
            for needed in ("__init__.py", strict, "common.py"):
                if not (root / layer / name / needed).is_file():
                    problems.append(f"{layer}/{name}/{needed} is missing, also if it is empty")
            if not (root / "conf" / kind / f"{name}.yaml").is_file():
                problems.append(f"conf/{kind}/{name}.yaml is missing for {layer}/{name}")
    for path in sorted((root / "deploy").rglob("__init__.py")):
        problems.append(f"{path.relative_to(root)}: deploy has none, so that pdoc leaves it out")
    for name in folders(root / "deploy"):
        for version in folders(root / "deploy" / name):
            if not re.fullmatch(r"V[1-9][0-9]*", version):
                continue  # a service's own static files and the like
            home = root / "deploy" / name / version
            for needed in ("create_bento_model.py", "common.py", "service.py", "ecr.sh"):
                if not (home / needed).is_file():
                    problems.append(f"{(home / needed).relative_to(root)} is missing")
            if not any(home.glob("sample-input.*")):
                problems.append(f"{home.relative_to(root)}/sample-input.* is missing")
    candidates = [*root.iterdir(), *(path for layer in CODE for path in (root / layer).rglob("*"))]
    for path in sorted(candidates):
        code = path.is_dir() or path.suffix == ".py"
        if code and path.stem in FORBIDDEN_NAMES:
            problems.append(f"{path.relative_to(root)}: call it by its subject, or common")
    return problems


def training_problems(root: Path) -> list[str]:
    """Training folders: the name, what it refers to, and `train(config: DictConfig)`."""
    problems = []
    for name in folders(root / "train"):
        if name == JOBS.rpartition(".")[2]:
            continue
        if not (match := TRAINING.fullmatch(name)):
            problems.append(f"train/{name}: expected <model>-<dataset>_v<N>")
        else:
            for layer, piece in (("models", match["model"]), ("datasets", match["dataset"])):
                if not (root / layer / piece).is_dir():
                    problems.append(f"train/{name}: there is no {layer}/{piece}")
        path = root / "train" / name / "pipeline.py"
        if not path.is_file():
            problems.append(f"train/{name}/pipeline.py is missing")
        elif not any(_is_train(node) for node in parsed(path).body):
            problems.append(f"train/{name}/pipeline.py has no train(config: DictConfig)")
    return problems


def _is_train(node: ast.stmt) -> bool:
    if not isinstance(node, ast.FunctionDef) or node.name != "train":
        return False
    given = ast.unparse(node.args).replace("omegaconf.", "")
    return given == "config: DictConfig"
