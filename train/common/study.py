"""The trials of a sweep in a journal on disk: ask Optuna for settings, train, tell it the value.

```mermaid
stateDiagram-v2
    [*] --> RUNNING: ask
    RUNNING --> COMPLETE: tell the value
    RUNNING --> PRUNED: worse than the median, or diverged
    RUNNING --> dead: process killed
    dead --> WAITING: next command, same settings
    WAITING --> RUNNING: ask
```

Trials that are `COMPLETE` or `PRUNED` have ended. They are never trained again, nor are settings
that an earlier trial had. Each proposal is drawn from the seed and the number of ended trials, so a
killed sweep proposes what an unbroken one does. One process at a time works on a journal.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from conf.errors import UserError
from conf.schema import Sweep
from train.common.fitting.trainer import Diverged
from train.common.tracking.trials import Pruned

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

log = logging.getLogger(__name__)

INPUTS = "inputs"
"""Attribute of a study: what its values depend on."""
CONTINUES = "continues"
"""Attribute of a trial: the number of the killed one whose settings it has."""
RUNS = "runs"
"""Attribute of a trial: the ids of its runs."""
ACTIVATIONS = "activations"
"""Attribute of a trial: how many activations of frozen layers it computed, and how many it found.
"""
ENDED = "ended"
"""Attribute of a trial: how it ended, if it is not finished."""
SEEDS = 2**32


def opened(path: Path, inputs: dict[str, Any], plan: Sweep, maximize: bool) -> "Study":
    """The study in the journal `path`, new or continued; the caller holds its lock.

    `inputs` are what the values of trials depend on, as JSON. Trials of a dead process are enqueued
    again. Raises `UserError` if the journal is one of other inputs.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

    class Held(JournalFileSymlinkLock):
        """The lock that the caller holds: Optuna's own outlives a killed process."""

        def acquire(self) -> bool:
            return True

        def release(self) -> None:
            pass

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path.parent.mkdir(parents=True, exist_ok=True)
    _without_torn_line(path)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(path), Held(str(path)))),
        study_name="sweep",
        direction="maximize" if maximize else "minimize",
        pruner=optuna.pruners.MedianPruner(plan.compared, plan.prune_after)
        if plan.prune
        else optuna.pruners.NopPruner(),
        load_if_exists=True,
    )
    known = study.user_attrs.get(INPUTS)
    if known is None:
        study.set_user_attr(INPUTS, inputs)
    elif differ := sorted(k for k in inputs.keys() | known.keys() if inputs.get(k) != known.get(k)):
        raise UserError(
            f"{path} holds a sweep with other {' and '.join(differ)}, whose values cannot be "
            "compared with new ones: sweep.name=<another> starts another sweep, or remove the file"
        )
    _enqueue_dead(study)
    return study


def ended(study: "Study") -> "list[FrozenTrial]":
    """The trials that finished, were stopped or diverged."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def search(
    study: "Study",
    space: "Mapping[str, BaseDistribution]",
    plan: Sweep,
    seed: int,
    objective: "Callable[[Trial], float]",
) -> None:
    """Ask, train and tell until `plan.trials` trials have ended.

    `objective` trains a trial and returns its value. It may raise `Pruned` or `Diverged`; after any
    other error, the trial is enqueued again by the next command.
    """
    from optuna.samplers import TPESampler
    from optuna.trial import TrialState

    while (count := len(ended(study))) < plan.trials:
        drawn = np.random.default_rng([seed, count]).integers(SEEDS)
        study.sampler = TPESampler(n_startup_trials=plan.startup, seed=int(drawn))
        trial = study.ask(dict(space))
        given = " ".join(f"{key}={value}" for key, value in trial.params.items())
        log.info("trial %d (%d of %d have ended): %s", trial.number, count, plan.trials, given)
        if same := next((each for each in ended(study) if each.params == trial.params), None):
            log.info("trial %d had the same settings, and is not repeated", same.number)
            for name in RUNS, ENDED:
                trial.set_user_attr(name, same.user_attrs.get(name, ""))
            trial.set_user_attr("same", same.number)
            value = same.value if same.state == TrialState.COMPLETE else None
            study.tell(trial, value, state=same.state)
            continue
        try:
            value = objective(trial)
        except (Pruned, Diverged) as reason:
            how = "diverged" if isinstance(reason, Diverged) else "stopped"
            log.info("trial %d %s: %s", trial.number, how, reason)
            trial.set_user_attr(ENDED, how)
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, value)
            log.info("trial %d finished: %.4f", trial.number, value)


def best(study: "Study") -> "FrozenTrial":
    """The best finished trial. Raises `UserError` if there is none."""
    try:
        return study.best_trial
    except ValueError:
        how = pd.Series([each.user_attrs.get(ENDED, "stopped") for each in ended(study)])
        counts = ", ".join(f"{count} {name}" for name, count in how.value_counts().items())
        raise UserError(
            f"no trial of the sweep finished ({counts or 'none was trained'}), so there is no best "
            "one: lower the learning rates of sweep.space, raise sweep.trials, or set "
            "sweep.prune=false; another space needs another sweep.name"
        ) from None


def lineage(study: "Study", trial: "FrozenTrial") -> list[list[str]]:
    """The runs of `trial`, and of each killed trial that it continues, in the order of training."""
    runs = list(trial.user_attrs.get(RUNS) or [])
    before = trial.user_attrs.get(CONTINUES)
    return [runs, *(lineage(study, study.trials[before]) if before is not None else [])]


def table(study: "Study") -> pd.DataFrame:
    """One row per trial that has ended: number, how, value, epochs, seconds, settings."""
    rows = []
    for each in ended(study):
        how = each.user_attrs.get(ENDED) or "finished"
        if "same" in each.user_attrs:
            how += f", as trial {each.user_attrs['same']}"
        computed, reused = each.user_attrs.get(ACTIVATIONS) or (0, 0)
        rows.append(
            {
                "trial": each.number,
                "ended": how,
                "value": each.value if how.startswith("finished") else np.nan,
                "last value": next(reversed(each.intermediate_values.values()), np.nan),
                "epochs": len(each.intermediate_values),
                "seconds": each.duration.total_seconds() if each.duration else np.nan,
                "computed": computed,
                "reused": reused,
                **each.params,
            }
        )
    return pd.DataFrame(rows)


def importances(study: "Study") -> dict[str, float]:
    """The share of each setting in the variance of the values; empty if it is not known."""
    from optuna.importance import get_param_importances

    values = {each.value for each in ended(study) if not each.user_attrs.get(ENDED)}
    return get_param_importances(study) if len(values) > 1 else {}


def _enqueue_dead(study: "Study") -> None:
    """Enqueue the trials that no process trains any more, with their settings."""
    from optuna.trial import TrialState

    for dead in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(dead.number, state=TrialState.FAIL)
        study.enqueue_trial(dead.params, user_attrs={CONTINUES: dead.number})
        log.info("trial %d was killed; its training continues", dead.number)


def _without_torn_line(path: Path) -> None:
    """Cut the end of a line that a power failure tore: Optuna would append to it."""
    if path.exists() and not (content := path.read_bytes()).endswith(b"\n") and content:
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)
