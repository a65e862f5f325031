"""The parameters of MLproject reach their settings; tests/templates runs one for real."""

import shlex

import yaml

from tests.common import ROOT, composed


def entry() -> tuple[dict[str, str], str]:
    """The parameters' defaults and the command of the one entry point."""
    project = yaml.safe_load((ROOT / "MLproject").read_text())
    main = project["entry_points"]["main"]
    return {name: str(p["default"]) for name, p in main["parameters"].items()}, main["command"]


def settings(**given: str):
    defaults, command = entry()
    words = shlex.split(command.format(**(defaults | given)))
    return composed(*words[words.index("train") + 1 :])


def test_each_parameter_sets_its_key() -> None:
    config = settings(dropout="0.5", learning_rate="0.01", epochs="3", batch_size="4")
    assert config.model.dropout == 0.5
    assert config.fit.finetune.learning_rate == 0.01
    assert config.fit.finetune.epochs == 3
    assert config.fit.batch_size == 4
    assert config.model.name == "resnet50v2ft"


def test_without_parameters_it_is_the_whole_recipe() -> None:
    unbound = [f"env.limits.{name}=null" for name in ("epochs", "batch_size")]
    recipe = composed("+pipeline=train_resnet50v2ft", *unbound)
    assert settings().fit == recipe.fit
    assert settings().model.dropout == recipe.model.dropout
