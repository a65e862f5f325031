"""Write a model, a dataset, their training and their deployment, which run at once.

    make new-pipeline MODEL=mynet DATASET=myimages

The template is `templates/pipeline` (cookiecutter). A model or dataset that exists is reused;
nothing is ever overwritten.
"""

import argparse
import importlib
import importlib.util
import keyword
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from conf import stages
from conf.compose import composed
from conf.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "templates" / "pipeline"
PIECE = re.compile(r"[a-z][a-zA-Z0-9]{1,23}")
"""Names of models and datasets; with longer ones, the generated lines would be too long."""
SAMPLE_IMAGES = 5
"""Images per class of the smallest sample, one of which is the deployment's sample input."""


def generate(model: str, dataset: str) -> list[Path]:
    """Write what `model` on `dataset` needs and is not there yet; the files, relative to the root.

    Raises `UserError` on a bad name, a piece of another kind, or a training that exists.
    """
    new_model, new_dataset = _is_new("model", model), _is_new("dataset", dataset)
    if model == dataset:
        raise UserError(f"MODEL={model} DATASET={dataset}: one name for both; choose another")
    training = f"{model}-{dataset}_v1"
    if (ROOT / "train" / training).exists():
        raise UserError(
            f"train/{training} exists and is not overwritten: copy it to {training[:-1]}2 for a "
            "second version, or choose another MODEL or DATASET"
        )
    named = (ROOT / "conf" / "pipeline" / f"train_{model}.yaml").exists()
    versions = [int(path.name[1:]) for path in (ROOT / "deploy" / model).glob("V[1-9]*")]
    deployment = f"V{max(versions, default=0) + 1}"
    values = {
        "model": model,
        "dataset": dataset,
        "pipeline": f"{model}-{dataset}" if named else model,
        "deployment": deployment,
        "service": model[0].upper() + model[1:],
    }
    with tempfile.TemporaryDirectory() as folder:
        rendered = _render(values, Path(folder))
        for name, new in ((model, new_model), (dataset, new_dataset)):
            for path in [] if new else _pieces(rendered, name):
                path.unlink()
        files = sorted(p.relative_to(rendered) for p in rendered.rglob("*") if p.is_file())
        if taken := [path for path in files if (ROOT / path).exists()]:
            raise UserError(f"{taken[0]} exists and is not overwritten: move it away first")
        for path in files:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(rendered / path, ROOT / path)
    stages.write(ROOT)
    sample = _sample_input(dataset, Path("deploy", model, deployment))
    _tidy([path for path in files if path.suffix == ".py"])
    return [*files, sample]


def _is_new(kind: str, name: str) -> bool:
    """Whether there is no model or dataset `name` yet; raises `UserError` for a bad name."""
    given = f"{kind.upper()}={name}"
    if not PIECE.fullmatch(name):
        raise UserError(
            f"{given}: 2 to 24 letters and digits, a small letter first, such as myNet2 (hyphen "
            "and underscore separate names: make new-pipeline MODEL=mynet DATASET=myimages)"
        )
    folder = ROOT / f"{kind}s" / name
    if not (folder / f"{kind}.py").is_file():
        taken = folder.exists() or (ROOT / "deploy" / name).exists()
        if taken or keyword.iskeyword(name) or importlib.util.find_spec(name):
            raise UserError(f"{given} is the name of something else here or in Python: another one")
        return True
    config: Any = OmegaConf.load(ROOT / "conf" / kind / f"{name}.yaml")
    if "image_schema" not in config.defaults:
        raise UserError(f"{given} is not for images, and the template is: choose another")
    return False


def _render(values: dict[str, str], folder: Path) -> Path:
    """The template with `values`, written below `folder`."""
    from cookiecutter.generate import generate_context, generate_files

    context = generate_context(str(TEMPLATE / "cookiecutter.json"), extra_context=values)
    return Path(generate_files(str(TEMPLATE), context, str(folder)))


def _pieces(rendered: Path, name: str) -> list[Path]:
    """Rendered files of the model or dataset `name` alone, not of its training or deployment."""
    found = [path for path in rendered.rglob("*") if path.is_file()]
    ours = {rendered / "conf" / "pipeline" / f"dataset_{name}.yaml"}
    for path in found:
        parts = path.relative_to(rendered).with_suffix("").parts
        if name in parts and parts[0] in ("conf", "datasets", "models", "tests"):
            ours.add(path)
    return [path for path in found if path in ours]


def _sample_input(dataset: str, home: Path) -> Path:
    """Put one generated image of `dataset` into the deployment `home`."""
    count = f"dataset.sample_images={SAMPLE_IMAGES}"
    config = composed(f"+dataset={dataset}", "dataset.source=sample", count)
    importlib.invalidate_caches()
    build = importlib.import_module(f"datasets.{dataset}.dataset").build
    with tempfile.TemporaryDirectory() as cache:
        first = Path(build(config.dataset, Path(cache)).table["path"].iat[0])
        path = home / f"sample-input{first.suffix}"
        shutil.copy(first, ROOT / path)
    return path


def _tidy(files: list[Path]) -> None:
    """Sort imports and fold lines, which depend on the names that were chosen."""
    for command in (["check", "--quiet", "--select", "I", "--fix"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, *files], cwd=ROOT, check=True)


def main() -> None:
    """The command line; exits with status 1 and a message on `UserError`."""
    parser = argparse.ArgumentParser(description="Write a pipeline that runs at once.")
    parser.add_argument("--model", required=True)
    parser.add_argument("--dataset", required=True)
    given = parser.parse_args()
    try:
        files = generate(given.model, given.dataset)
    except UserError as error:
        sys.exit(f"error: {error}")
    lines = 0
    for path in files:
        count = len((ROOT / path).read_bytes().splitlines()) if path.suffix != ".jpg" else 0
        lines += count
        print(f"{count:5} {path}")
    pipeline = next(p.stem for p in files if p.parent.name == "pipeline" and "train" in p.stem)
    home = next(p.parent for p in files if p.name == "service.py").relative_to("deploy")
    print(
        f"{lines:5} lines in {len(files)} files, and their names in dvc.yaml. Next:\n"
        f"  .venv/bin/python -m train +pipeline={pipeline} env=development\n"
        f"  make serve ARGS='--deployment {home}'"
    )


if __name__ == "__main__":
    main()
