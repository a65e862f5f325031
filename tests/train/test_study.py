"""The trials of a sweep: proposed, stopped, continued after a kill, and never trained twice."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from optuna import Study, Trial
from optuna.distributions import CategoricalDistribution, FloatDistribution

from conf.errors import UserError
from conf.schema import Sweep
from tests.common import configuration
from train.common import study as under_test
from train.common.data.types import TrainedModel
from train.common.fitting.trainer import Diverged
from train.common.study import best, ended, lineage, opened, search, table
from train.common.sweep import Trainings, repeats
from train.common.tracking.trials import Watch

SPACE = {"x": FloatDistribution(-1, 1), "way": CategoricalDistribution(["up", "down"])}
PLAN = Sweep(name="toy", trials=12, startup=4, compared=2, prune_after=1)
INPUTS = {"space": "x", "data": "digest"}


class Objective:
    """A bowl in `x`, which notes what it was asked; stands for a kill in the trial `kill`."""

    def __init__(self, kill: int = -1) -> None:
        self.kill, self.asked = kill, []  # type: int, list[dict[str, Any]]

    def __call__(self, trial: Trial) -> float:
        self.asked.append(trial.params)
        if trial.number == self.kill:
            raise KeyboardInterrupt
        return float(trial.params["x"] ** 2)


def study(folder: Path, plan: Sweep = PLAN, inputs: dict[str, Any] = INPUTS) -> Study:
    return opened(folder / "sweeps" / "toy.journal", inputs, plan, maximize=False)


def states(found: Study) -> list[str]:
    return [each.state.name for each in found.trials]


def test_a_killed_sweep_repeats_only_the_killed_trial_and_then_proposes_the_same(
    tmp_path: Path,
) -> None:
    whole, before, after = Objective(), Objective(kill=5), Objective()
    search(study(tmp_path / "whole"), SPACE, PLAN, 0, whole)
    with pytest.raises(KeyboardInterrupt):
        search(study(tmp_path / "killed"), SPACE, PLAN, 0, before)
    resumed = study(tmp_path / "killed")
    assert states(resumed) == ["COMPLETE"] * 5 + ["FAIL", "WAITING"]
    search(resumed, SPACE, PLAN, 0, after)
    assert [*before.asked[:5], *after.asked] == whole.asked
    assert before.asked[5] == after.asked[0]
    assert len(ended(resumed)) == PLAN.trials
    assert best(resumed).params == min(whole.asked, key=lambda asked: asked["x"] ** 2)


def test_a_finished_sweep_trains_nothing_and_a_larger_number_continues_it(tmp_path: Path) -> None:
    search(study(tmp_path), SPACE, PLAN, 0, Objective())
    again, more = Objective(), Objective()
    search(study(tmp_path), SPACE, PLAN, 0, again)
    search(study(tmp_path), SPACE, replace(PLAN, trials=14), 0, more)
    assert (len(again.asked), len(more.asked)) == (0, 2)


def test_the_runs_of_a_killed_trial_belong_to_the_one_that_continues_it(tmp_path: Path) -> None:
    def killed(trial: Trial) -> float:
        trial.set_user_attr(under_test.RUNS, [f"run {trial.number}"])
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            search(study(tmp_path), SPACE, PLAN, 0, killed)
    found = study(tmp_path)
    assert states(found) == ["FAIL", "FAIL", "WAITING"]
    assert lineage(found, found.trials[2]) == [[], ["run 1"], ["run 0"]]


def test_equal_settings_are_not_trained_again(tmp_path: Path) -> None:
    few = {"x": CategoricalDistribution([0.5, 1.0])}
    objective = Objective()
    search(study(tmp_path), few, PLAN, 0, objective)
    assert sorted(asked["x"] for asked in objective.asked) == [0.5, 1.0]
    ways = table(study(tmp_path))["ended"].str.partition(",")[0]
    assert ways.tolist() == ["finished"] * PLAN.trials


def test_a_sweep_of_another_space_is_refused_by_name(tmp_path: Path) -> None:
    study(tmp_path)
    with pytest.raises(UserError, match=r"toy.journal holds a sweep with other space") as caught:
        study(tmp_path, inputs=INPUTS | {"space": "y"})
    assert "sweep.name=<another> starts another sweep, or remove the file" in str(caught.value)


def test_a_torn_line_of_the_journal_is_cut(tmp_path: Path) -> None:
    search(study(tmp_path), SPACE, replace(PLAN, trials=2), 0, Objective())
    path = tmp_path / "sweeps" / "toy.journal"
    path.write_bytes(path.read_bytes() + b'{"op_code":4,"work')
    search(study(tmp_path), SPACE, replace(PLAN, trials=3), 0, Objective())
    assert states(study(tmp_path)) == ["COMPLETE"] * 3


def test_without_a_finished_trial_there_is_no_best_one(tmp_path: Path) -> None:
    def diverges(_: Trial) -> float:
        raise Diverged("the loss is no longer a number")

    search(study(tmp_path), SPACE, replace(PLAN, trials=3), 0, diverges)
    with pytest.raises(UserError, match=r"no trial of the sweep finished \(3 diverged\)"):
        best(study(tmp_path))


class Pretended:
    """A training whose loss is that of the table; notes the settings that it was given."""

    def __init__(self, losses: list[list[float]]) -> None:
        self.losses, self.given = losses, []  # type: list[list[float]], list[Any]

    def __call__(self, settings: Any, watch: Watch) -> TrainedModel:
        losses = self.losses[len(self.given)]
        self.given.append(settings)
        for epoch, loss in enumerate(losses, 1):
            watch(f"run {len(self.given)}", epoch, {"val_loss": loss})
        history, nothing = pd.DataFrame({"val_loss": losses}), (lambda: None)
        return TrainedModel(None, history, int(np.argmin(losses)) + 1, nothing)


def trained(
    tmp_path: Path, losses: list[list[float]], *overrides: str
) -> tuple[Study, Pretended, Callable[[Trial], float]]:
    config = configuration(
        "+pipeline=train_vgg16ft", "+sweep=quick", f"env.cache={tmp_path}", *overrides
    )
    parts = repeats(config, config.sweep)
    found, once = study(tmp_path, replace(PLAN, prune=config.sweep.prune)), Pretended(losses)
    return found, once, Trainings(once, config, parts, found).train


DROPOUT = {"model.dropout": FloatDistribution(0, 0.5)}


def test_a_trial_is_stopped_at_the_epoch_where_it_is_worse_than_the_median(tmp_path: Path) -> None:
    losses = [[0.9, 0.5, 0.3], [0.9, 0.6, 0.4], [0.9, 0.8, 0.1], [0.9, 0.4, 0.2]]
    found, _, train = trained(tmp_path, losses)
    search(found, DROPOUT, replace(PLAN, trials=4), 0, train)
    assert states(found) == ["COMPLETE", "COMPLETE", "PRUNED", "COMPLETE"]
    rows = table(found).set_index("trial")
    assert rows["ended"].tolist() == ["finished", "finished", "stopped", "finished"]
    assert rows["epochs"].tolist() == [3, 3, 2, 3]
    assert (best(found).number, rows.loc[2, "last value"]) == (3, 0.8)


def test_only_the_checkpoints_of_the_best_trial_and_of_the_final_seed_stay(tmp_path: Path) -> None:
    def saved(run: str) -> Path:
        folder = tmp_path / "checkpoints" / run
        folder.mkdir(parents=True)
        (folder / "history.json").write_text(json.dumps({"run_id": run}))
        return folder

    losses = [[0.5], [0.4], [0.3], [0.2]]
    found, once, train = trained(tmp_path, losses, "sweep.seeds=[1,2]")
    folders = [saved(f"run {number}") for number in (1, 2, 3, 4)] + [saved("another training")]
    search(found, DROPOUT, replace(PLAN, trials=2), 0, train)
    trainings = Trainings(once, once.given[0], [(1, None), (2, None)], found)
    trainings.forget_others()
    assert [each.exists() for each in folders] == [False, False, True, True, True]
    trainings.forget_others(seed=2)
    assert [each.exists() for each in folders] == [False, False, False, True, True]


def test_without_pruning_every_trial_ends(tmp_path: Path) -> None:
    losses = [[0.9, 0.5], [0.9, 0.6], [0.9, 0.8]]
    found, _, train = trained(tmp_path, losses, "sweep.prune=false")
    search(found, DROPOUT, replace(PLAN, trials=3), 0, train)
    assert states(found) == ["COMPLETE"] * 3


def test_the_value_of_a_trial_is_the_mean_over_its_seeds(tmp_path: Path) -> None:
    losses = [[0.5, 0.4], [0.3, 0.2], [0.9, 0.8], [0.7, 0.6]]
    found, once, train = trained(tmp_path, losses, "sweep.seeds=[1,2]")
    search(found, DROPOUT, replace(PLAN, trials=2), 0, train)
    assert [each.value for each in found.trials] == pytest.approx([0.3, 0.7])
    assert [given.seed for given in once.given] == [1, 2, 1, 2]
    assert [given.sweep.trial for given in once.given] == [0, 0, 1, 1]
    assert found.trials[0].user_attrs[under_test.RUNS] == ["run 1", "run 2"]
    gates = [given.gate.enabled for given in once.given]
    assert gates == [True, False, False, False]  # the splits are the same
    dropouts = [given.model.dropout for given in once.given]
    assert dropouts[0] == dropouts[1] != dropouts[2]
