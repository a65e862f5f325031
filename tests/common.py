"""What the tests share: the folders say which models, datasets and pipelines there are."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from conf.entry import CONF, check
from conf.schema import register

ROOT = Path(__file__).resolve().parents[1]


def folders(parent: Path, marker: str = "") -> list[str]:
    """Sorted names of the folders of `parent` that hold a file `marker`; [] where it is absent."""
    if not parent.is_dir():
        return []
    return sorted(
        path.name
        for path in parent.iterdir()
        if path.is_dir()
        and not path.name.startswith((".", "__"))
        and path.name not in ("common", "notebooks")
        and (path / marker).exists()
    )


def models(root: Path = ROOT, kind: type | None = None) -> list[str]:
    """Names of the models, such as `resnet50v2ft`; of those of one kind, such as `ImageModel`."""
    return _of_kind("model", folders(root / "models", "model.py"), kind)


def datasets(root: Path = ROOT, kind: type | None = None) -> list[str]:
    """Names of the datasets, such as `kvasir4`; of those of one kind, such as `ImageDataset`."""
    return _of_kind("dataset", folders(root / "datasets", "dataset.py"), kind)


def _of_kind(group: str, names: list[str], kind: type | None) -> list[str]:
    """Those of `names` whose configuration is a `kind`, or all of them."""
    types = {name: OmegaConf.get_type(part(group, name)) for name in names} if kind else {}
    return [name for name in names if not kind or issubclass(types[name] or dict, kind)]


def trainings(root: Path = ROOT) -> list[str]:
    """Names of the training folders, `<model>-<dataset>_v<N>`."""
    return folders(root / "train", "pipeline.py")


def pipelines(root: Path = ROOT, task: str = "", recipe: str = "") -> list[str]:
    """Names that `+pipeline=` takes, such as `train_resnet50v2ft`; of a task or recipe if given."""
    found = (root / "conf" / "pipeline").glob(f"{task}_*.yaml" if task else "*.yaml")
    named = f"/recipe: {recipe}\n"
    return sorted(p.stem for p in found if not recipe or named in p.read_text())


def presets(group: str, root: Path = ROOT) -> list[str]:
    """Names that `+<group>=` takes, such as `fast` of `debug`."""
    return sorted(path.stem for path in (root / "conf" / group).glob("*.yaml"))


def deployments(root: Path = ROOT) -> list[str]:
    """Deployments as `<model>/V<N>`."""
    found = (root / "deploy").glob("*/V*/service.py")
    return sorted(path.parent.relative_to(root / "deploy").as_posix() for path in found)


def composed(*overrides: str) -> DictConfig:
    """The checked configuration of a command line, such as `composed("+pipeline=train_x")`."""
    return check(_compose(*overrides))


def configuration(*overrides: str) -> Any:
    """The same as an object of its recipe, which training takes."""
    return OmegaConf.to_object(composed(*overrides))


def part(group: str, name: str, *overrides: str) -> Any:
    """One model's or dataset's settings in development, without a pipeline around it."""
    recipe = []
    if group == "model":
        kind = "table" if "table_schema" in (CONF / group / f"{name}.yaml").read_text() else "image"
        recipe = [f"+recipe={kind}_training"]
    config = _compose(*recipe, f"+{group}={name}", *overrides)
    OmegaConf.resolve(config[group])
    return config[group]


def clone(folder: Path) -> Path:
    """What git would take of the working tree as it is, committed in `folder`, with our `.venv`."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.check_output(command, cwd=ROOT, text=True).split("\0")
    for path in (Path(name) for name in names if (ROOT / name).is_file()):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, folder / path)
    commit(folder)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def commit(folder: Path) -> None:
    """Everything in `folder`, in a git repository of its own."""
    who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "all"]):
        subprocess.run(["git", *command], cwd=folder, check=True)


def _compose(*overrides: str) -> DictConfig:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", list(overrides))


def open_to_all(folder: Path) -> None:
    """Let other users into `folder`, which lies below the system's temporary folder."""
    for each in (folder, *folder.parents):
        if each.is_relative_to(gettempdir()) and each.stat().st_uid == os.getuid():
            each.chmod(each.stat().st_mode | 0o055)


def new_store(folder: Path) -> str:
    """The URI of an empty SQLite store of MLflow in `folder`.

    MLflow makes its tables by dozens of migrations, in seconds: once here, and copied after that.
    """
    (folder / "mlflow.db").write_bytes(_empty_store())
    return f"sqlite:///{folder}/mlflow.db"


@cache
def _empty_store() -> bytes:
    import mlflow

    with TemporaryDirectory() as folder:
        mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()
        return Path(folder, "mlflow.db").read_bytes()


def log_smallest(uri: str, artifacts: Path, **facts: Any) -> str:
    """Log the smallest ONNX graph there is as `serving`; `facts` go with it. Returns its run."""
    import mlflow
    from onnx import TensorProto, helper

    value = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in ("image", "out")]
    node = helper.make_node("Identity", ["image"], ["out"])
    graph = helper.make_graph([node], "g", value[:1], value[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        experiment = mlflow.create_experiment(artifacts.name, artifacts.as_uri())
        with mlflow.start_run(experiment_id=experiment) as run:
            mlflow.onnx.log_model(model, name="serving", pip_requirements=["onnx"], **facts)
    finally:
        mlflow.set_tracking_uri(before)
    return str(run.info.run_id)
