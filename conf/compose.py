"""Settings without a command line, for notebooks and generators."""

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from conf.entry import CONF
from conf.schema import register


def composed(*choices: str) -> DictConfig:
    """The configuration of a command line with `choices`: `composed("+dataset=kvasir4").dataset`.

    The environment is development unless `env=production` is among them. Missing parts are allowed;
    the others are resolved.
    """
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", list(choices))
    for part in ("env", "dataset", "model"):
        if part in config and not OmegaConf.is_missing(config, part):
            OmegaConf.resolve(config[part])
    return config
