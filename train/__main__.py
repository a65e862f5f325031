"""`python -m train +pipeline=train_<name> env=development|production [key=value ...]`."""

import importlib.util

from omegaconf import DictConfig

from conf.entry import main
from conf.errors import UserError


def find(config: DictConfig) -> str:
    """Dotted name of the function that trains `config`, computed from its names.

    Raises `UserError` when the folder does not exist; the message names it.
    """
    folder = f"{config.model.name}-{config.dataset.name}_{config.version}"
    name = f"train.{folder}.pipeline"
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise UserError(
            f"no training for model={config.model.name}, dataset={config.dataset.name}, "
            f"version={config.version}: create train/{folder}/pipeline.py with "
            "train(config: DictConfig), or choose another combination"
        )
    return f"{name}.train"


if __name__ == "__main__":
    main("train", find)
