"""The space of a sweep: every image pipeline has it, and a mistake is named before any work."""

from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from conf.errors import UserError
from conf.schema import Dimension, Schedule
from tests.common import configuration, pipelines, presets
from train.common.space import applied, distributions
from train.common.sweep import repeats

PIPELINE = "+pipeline=train_vgg16ft"
RATE = "fit.finetune.learning_rate"


def space(**dimensions: Dimension) -> Any:
    """The distributions of settings whose names have `__` for each dot."""
    named = {name.replace("__", "."): given for name, given in dimensions.items()}
    return distributions(configuration(PIPELINE), named)


@pytest.mark.parametrize("sweep", presets("sweep"))
@pytest.mark.parametrize("pipeline", pipelines(task="train", recipe="image_training"))
def test_every_image_pipeline_has_the_spaces_of_the_presets(pipeline: str, sweep: str) -> None:
    config = configuration(f"+pipeline={pipeline}", f"+sweep={sweep}")
    assert config.sweep.name == sweep
    assert distributions(config, config.sweep.space).keys() == config.sweep.space.keys()


def test_the_type_of_a_setting_decides_what_is_drawn() -> None:
    found = space(
        fit__finetune__learning_rate=Dimension(low=1e-5, high=1e-3, log=True),
        model__hidden=Dimension(low=16, high=64, step=16),
        fit__patience=Dimension(low=1, high=5),
        fit__schedule=Dimension(choices=["constant", "cosine"]),
    )
    assert found[RATE] == FloatDistribution(1e-5, 1e-3, log=True)
    assert found["model.hidden"] == IntDistribution(16, 64, step=16)
    assert found["fit.patience"] == IntDistribution(1, 5)
    assert found["fit.schedule"] == CategoricalDistribution(["constant", "cosine"])


def test_drawn_values_become_settings_of_their_types() -> None:
    before = configuration(PIPELINE)
    drawn = {RATE: 1e-4, "fit.schedule": "cosine", "fit.patience": None, "model.image_size": 48}
    after = applied(before, drawn)
    assert after.fit.finetune.learning_rate == 1e-4
    assert after.fit.schedule is Schedule.cosine
    assert after.fit.patience is None
    assert after.model.image_size == after.transform.image_size == 48
    assert before.transform.image_size != 48


@pytest.mark.parametrize(
    ("key", "given", "said"),
    [
        ("fit__finetune__rate", Dimension(low=0, high=1), "fit.finetune has no setting rate"),
        ("fit__epochs", Dimension(low=1, high=2), "choices: warmup, finetune"),
        ("split__by", Dimension(choices=["random"]), "only settings of model, fit, transform"),
        ("seed", Dimension(low=0, high=9), "sweep.seeds and sweep.folds"),
        ("fit__monitor", Dimension(choices=["val_loss"]), "the value of a trial"),
        ("fit__finetune", Dimension(low=0, high=1), "no single value"),
        ("model__dropout", Dimension(), "has no values: give low and high, or choices"),
        ("model__dropout", Dimension(low=0.5, high=0.5), "is an empty range"),
        ("model__dropout", Dimension(low=0.5, high=0.1), "is an empty range"),
        ("model__dropout", Dimension(low=0, high=1, log=True), "low > 0 and no step"),
        ("model__dropout", Dimension(low=0, high=1, step=2), "fit in the range"),
        ("model__dropout", Dimension(low=0, choices=[0.5]), "choices and a range"),
        ("model__dropout", Dimension(choices=["much"]), "the value 'much' is no float"),
        ("model__hidden", Dimension(low=0.5, high=8), "the values of model.hidden are integers"),
        ("model__hidden", Dimension(choices=[True]), "the value True is no int"),
        ("fit__schedule", Dimension(low=0, high=1), "it is no number: give choices"),
        ("fit__schedule", Dimension(choices=["cosin"]), "did you mean cosine?"),
    ],
)
def test_a_mistake_in_the_space_is_named(key: str, given: Dimension, said: str) -> None:
    with pytest.raises(UserError, match=f"sweep.space.{key.replace('__', '.')}") as caught:
        space(**{key: given})
    assert said in str(caught.value)


def test_an_empty_space_is_refused() -> None:
    with pytest.raises(UserError, match=r"sweep.space is empty"):
        space()


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], [(0, None)]),
        (["seed=3"], [(3, None)]),
        (["sweep.seeds=[1,2]"], [(1, None), (2, None)]),
        (["split.by=cluster", "split.folds=5"], [(0, 0)]),
        (["split.by=cluster", "split.folds=5", "split.fold=2"], [(0, 2)]),
        (["split.folds=5", "sweep.seeds=[1,2]", "sweep.folds=[0,4]"],
         [(1, 0), (1, 4), (2, 0), (2, 4)]),
    ],
)  # fmt: skip
def test_a_trial_trains_each_seed_on_each_fold(
    overrides: list[str], expected: list[tuple[int, int | None]]
) -> None:
    config = configuration(PIPELINE, "+sweep=quick", *overrides)
    assert repeats(config, config.sweep) == expected


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["sweep.folds=[0]"], "needs a cross-validation"),
        (["sweep.folds=[0,7]", "split.folds=5"], "split.folds=5 has no fold"),
        (["sweep.folds=[0,1]", "split.folds=5", "split.fold=2"], "give one of them"),
    ],
)
def test_folds_that_do_not_exist_are_refused(overrides: list[str], said: str) -> None:
    config = configuration(PIPELINE, "+sweep=quick", *overrides)
    with pytest.raises(UserError, match=said):
        repeats(config, config.sweep)
