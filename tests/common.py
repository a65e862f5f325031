"""What the tests share: the folders say which models, datasets and pipelines there are."""

from pathlib import Path

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


def models(root: Path = ROOT) -> list[str]:
    """Names of the models, such as `resnet50v2ft`."""
    return folders(root / "models", "model.py")


def datasets(root: Path = ROOT) -> list[str]:
    """Names of the datasets, such as `kvasir4`."""
    return folders(root / "datasets", "dataset.py")


def trainings(root: Path = ROOT) -> list[str]:
    """Names of the training folders, `<model>-<dataset>_v<N>`."""
    return folders(root / "train", "pipeline.py")


def pipelines(root: Path = ROOT, task: str = "") -> list[str]:
    """Names that `+pipeline=` takes, such as `train_resnet50v2ft`; of one task where given."""
    prefix = f"{task}_" if task else ""
    return sorted(path.stem for path in (root / "conf" / "pipeline").glob(f"{prefix}*.yaml"))


def deployments(root: Path = ROOT) -> list[str]:
    """Deployments as `<model>/V<N>`."""
    return sorted(
        f"{model}/{version}"
        for model in folders(root / "deploy")
        for version in folders(root / "deploy" / model, "service.py")
    )


def composed(*overrides: str) -> DictConfig:
    """The checked configuration of a command line, such as `composed("+pipeline=train_x")`."""
    return check(_compose(*overrides))


def part(group: str, name: str, *overrides: str) -> DictConfig:
    """One model's or dataset's settings in development, without a pipeline around it."""
    config = _compose(f"+{group}={name}", *overrides)
    OmegaConf.resolve(config[group])
    return config[group]


def _compose(*overrides: str) -> DictConfig:
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", list(overrides))
