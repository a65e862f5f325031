"""Write what a model on a dataset needs and is not there yet; all of it runs at once.

    make new-pipeline MODEL=mynet DATASET=myimages
    make new-pipeline MODEL=mytrees DATASET=mytable TASK=table
    make new-pipeline MODEL=mobilenetv2ft DATASET=myimages      # a model that exists

The templates (cookiecutter) are `templates/pipeline/shared` and, by task, `image` or `table`. A
dataset, a model, their training, their deployment and each file of `conf/pipeline` is a piece: one
that exists is left as it is, and nothing is ever overwritten.
"""

import argparse
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from conf import stages
from conf.errors import UserError
from templates.names import is_new
from templates.samples import write_sample_inputs

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ROOT / "templates" / "pipeline"
PIPELINES = Path("conf", "pipeline")
CLASSES = {"image": ["0_disc", "1_square"], "table": ["healthy", "ill"]}
"""By task, the classes of the dataset that its template writes."""


@dataclass(frozen=True)
class Written:
    """What a call of `generate` did; paths are relative to the root."""

    files: list[Path]
    left: list[Path]
    """Pieces that were there."""
    training: str
    """Name of the pipeline that trains the pair."""
    deployment: str
    """`<model>/V<N>` of the pair."""


def generate(model: str, dataset: str, task: str) -> Written:
    """Write every piece of `model` on `dataset` that is missing; `task` is `image` or `table`.

    Raises `UserError` on a bad name, a piece of another task, a file in the way, and where nothing
    is missing.
    """
    if task not in CLASSES:
        raise UserError(f"TASK={task} is not known; choices: {', '.join(CLASSES)}")
    new = [is_new(ROOT, "model", model, task), is_new(ROOT, "dataset", dataset, task)]
    if model == dataset and any(new):
        raise UserError(f"MODEL={model} DATASET={dataset}: one name for both; choose another")
    values = _values(model, dataset, task)
    home = Path("deploy", model, values["deployment"])
    with tempfile.TemporaryDirectory() as folder:
        rendered = _render(values, Path(folder))
        _take_words(rendered / home / "common.py", dataset)
        pieces = dict(_pieces(rendered, values))
        left = sorted({there for there in pieces.values() if there})
        files = sorted(path for path, there in pieces.items() if not there)
        if not files:
            raise UserError(
                f"MODEL={model} DATASET={dataset}: nothing is missing, and nothing is overwritten. "
                f"For a second version, copy one of these: {', '.join(map(str, left))}"
            )
        if taken := [path for path in files if (ROOT / path).exists()]:
            raise UserError(f"{taken[0]} exists and is not overwritten: move it away first")
        for path in files:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(rendered / path, ROOT / path)
    stages.write(ROOT)
    _tidy([path for path in files if path.suffix == ".py"])
    if home / "service.py" in files:
        samples = write_sample_inputs(ROOT / home, dataset, task)
        files += [path.relative_to(ROOT) for path in samples]
    return Written(files, left, f"train_{values['pipeline']}", str(home.relative_to("deploy")))


def _values(model: str, dataset: str, task: str) -> dict[str, str]:
    """What the templates fill in."""
    name = f"{model}-{dataset}"
    trained = _same_pipeline((f"{task}_training", dataset, model))
    if trained:
        pipeline = trained.stem.removeprefix("train_")
    else:
        pipeline = name if (ROOT / PIPELINES / f"train_{model}.yaml").exists() else model
    deployed = [home.name for home, known in _deployments() if known == name]
    versions = [int(path.name[1:]) for path in (ROOT / "deploy" / model).glob("V[1-9]*")]
    classes, config = CLASSES[task], ROOT / "conf" / "dataset" / f"{dataset}.yaml"
    if config.exists():
        classes = list(OmegaConf.select(OmegaConf.load(config), "classes", default=[]))
    words = {each: each.lstrip("0123456789_").replace("_", " ") or each for each in classes}
    return {
        "task": task,
        "model": model,
        "dataset": dataset,
        "pipeline": pipeline,
        "study": f"{pipeline}_model" if pipeline == dataset else pipeline,
        "deployment": deployed[-1] if deployed else f"V{max(versions, default=0) + 1}",
        "service": model[0].upper() + model[1:],
        "classes": ", ".join(classes),
        "labels": repr({"en": words, "es": words}),
    }


def _render(values: dict[str, str], folder: Path) -> Path:
    """The templates of all tasks and of this one, with `values`, written below `folder`."""
    from cookiecutter.generate import generate_context, generate_files

    context = generate_context(str(TEMPLATES / "cookiecutter.json"), extra_context=values)
    for part in ("shared", values["task"]):
        root = generate_files(str(TEMPLATES / part), context, str(folder), overwrite_if_exists=True)
    return Path(root)


def _pieces(rendered: Path, values: dict[str, str]) -> Iterator[tuple[Path, Path | None]]:
    """Each rendered file, and what stands for its piece already."""
    model, dataset = values["model"], values["dataset"]
    trainings = sorted((ROOT / "train").glob(f"{model}-{dataset}_v*"))
    deployed = [home for home, known in _deployments() if known == f"{model}-{dataset}"]
    there = {
        "models": ROOT / "models" / model,
        "datasets": ROOT / "datasets" / dataset,
        "train": trainings[-1] if trainings else None,
        "deploy": deployed[-1] if deployed else None,
    }
    homes = {"model": "models", "dataset": "datasets"}
    for path in sorted(each for each in rendered.rglob("*") if each.is_file()):
        relative = path.relative_to(rendered)
        layer, group, *_ = relative.parts
        if relative.parent == PIPELINES:
            found = _same_pipeline(_groups(path))
        else:
            found = there[layer if layer in there else homes.get(group, group)]
        yield relative, found.relative_to(ROOT) if found and found.exists() else None


def _groups(pipeline: Path) -> tuple[str, ...]:
    """Recipe, dataset and model that a file of `conf/pipeline` names, if it names them."""
    config: Any = OmegaConf.load(pipeline)
    named = {k: v for entry in config.defaults if entry != "_self_" for k, v in entry.items()}
    return tuple(named[key] for key in ("/recipe", "/dataset", "/model") if key in named)


def _same_pipeline(groups: tuple[str, ...]) -> Path | None:
    """The pipeline that has the same recipe, dataset and model."""
    files = sorted((ROOT / PIPELINES).glob("*.yaml"))
    return next((path for path in files if _groups(path) == groups), None)


def _deployments() -> list[tuple[Path, str]]:
    """The folders of all deployments, each with the registered name of its model."""
    homes = sorted(path.parent for path in (ROOT / "deploy").glob("*/V*/common.py"))
    return [(home, runpy.run_path(str(home / "common.py"))["MODEL"]) for home in homes]


def _take_words(common: Path, dataset: str) -> None:
    """Put into `common` what another deployment of `dataset` calls classes and page."""
    for home, name in _deployments():
        if name.endswith(f"-{dataset}"):
            ours = runpy.run_path(str(common))["MODEL"]
            common.write_text((home / "common.py").read_text().replace(f'"{name}"', f'"{ours}"'))
            return


def _tidy(files: list[Path]) -> None:
    """Sort imports and fold lines, which depend on the names that were chosen."""
    if not files:
        return
    for command in (["check", "--quiet", "--select", "I", "--fix"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, *files], cwd=ROOT, check=True)


def main() -> None:
    """The command line; exits with status 1 and a message on `UserError`."""
    parser = argparse.ArgumentParser(description="Write a pipeline that runs at once.")
    parser.add_argument("--model", required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--task", default="image", help=f"{' or '.join(CLASSES)} (image)")
    given = parser.parse_args()
    try:
        written = generate(given.model, given.dataset, given.task)
    except UserError as error:
        sys.exit(f"error: {error}")
    lines = 0
    for path in written.files:
        count = len((ROOT / path).read_bytes().splitlines()) if path.suffix != ".jpg" else 0
        lines += count
        print(f"{count:5} {path}")
    listed = any(path.parent == PIPELINES for path in written.files)
    more = ", and their names in dvc.yaml" if listed else ""
    print(f"{lines:5} lines in {len(written.files)} files{more}.")
    if written.left:
        print(f"Left as they were: {', '.join(map(str, written.left))}.")
    print(
        f"Next:\n  .venv/bin/python -m train +pipeline={written.training} env=development\n"
        f"  make serve DEPLOYMENT={written.deployment}"
    )


if __name__ == "__main__":
    main()
