"""A sweep: trainings with drawn settings, judged on validation images, and the best of them.

    python -m train +pipeline=train_<name> +sweep=quick

```mermaid
flowchart LR
    S["run of the sweep"] --> t0["run, trial 0"] & t1["run, trial 1"] & more["..."] --> R["report"]
    R --> B["the best as an ordinary run,<br/>evaluated once on test"]
```

Each trial is a run, child of the run of the sweep; no trial evaluates test images or registers a
model. `train.common.study` holds the journal of the trials, which the same command continues after
a kill. The checkpoints of the best trial stay until its ordinary run, which continues them and so
trains nothing again. The trials share the stored activations of frozen layers.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from conf.errors import UserError
from conf.schema import ImageTraining, Sweep, plain
from datasets.common.fetching.locks import Lock
from train.common import study as studies
from train.common.data.build import build_images
from train.common.data.types import Report, TrainedModel
from train.common.evaluation.sweep import Swept, report
from train.common.fitting.checkpoint import forget
from train.common.fitting.feature_cache import TALLY
from train.common.space import applied, distributions
from train.common.tracking import trials
from train.common.tracking.connection import check_registry, connect, registers
from train.common.tracking.load import FoldRun, fetch_table
from train.common.tracking.log import Run, tracked_run
from train.common.tracking.provenance import settings_digest
from train.common.tracking.trials import Pruned, Watch
from train.common.trial import value

if TYPE_CHECKING:
    from optuna import Study, Trial

log = logging.getLogger(__name__)

TrainOnce = Callable[[ImageTraining, Watch], TrainedModel]
PARENT, REPORTED = "parent", "reported"
"""Attributes of a study: the run of the sweep, and how many trials its report has."""


def sweep(train_once: TrainOnce, settings: ImageTraining) -> ImageTraining:
    """Train the trials of `settings.sweep`, report them, and return the settings of the best.

    Raises `UserError` if the space is wrong, the journal has another space, no trial finished, or
    the best was already evaluated.
    """
    plan = settings.sweep
    assert plan is not None
    space, parts = distributions(settings, plan.space), repeats(settings, plan)
    seeds = [seed for seed, _ in parts]
    seed = settings.seed if settings.seed in seeds else seeds[0]
    final = replace(settings, sweep=None, seed=seed)
    connect(settings)
    cache = Path(settings.env.cache)
    images = build_images(settings.dataset, cache)
    monitor = settings.fit.monitor.name
    inputs = {
        "space": plain(plan)["space"],
        "settings": settings_digest(final),
        "data": images.digest,
        "seeds and folds": [list(part) for part in parts],
    }
    name = f"{settings.model.name}-{settings.dataset.name}-{plan.name}"
    path = cache / "sweeps" / f"{name}.journal"
    with Lock(path.with_suffix(".lock"), f"the sweep {plan.name} ({path})"):
        study = studies.opened(path, inputs, plan, maximize="loss" not in monitor)
        done = len(studies.ended(study))
        if done < plan.trials or study.user_attrs.get(REPORTED) != done:
            with tracked_run(settings) as run:
                if registers(final):
                    check_registry(final, run.id)
                run.log_data(images)
                if earlier := study.user_attrs.get(PARENT):
                    run.log_resumed(earlier)
                    trials.adopt(settings, earlier, run.id)
                study.set_user_attr(PARENT, run.id)
                trainings = Trainings(train_once, settings, parts, study)
                run.step(studies.search, study, space, plan, settings.seed, trainings.train)
                trainings.forget_others(seed=seed)
                _publish(study, settings, parts, run)
            study.set_user_attr(REPORTED, len(studies.ended(study)))
        best = studies.best(study)
    chosen = applied(final, best.params)
    if run_id := trials.evaluated(chosen, images.digest):
        raise UserError(
            f"the sweep {plan.name} is finished, and run {run_id} evaluated its best, trial "
            f"{best.number}: sweep.trials=<more> continues it, sweep.name=<another> starts another"
        )
    log.info("trial %d is the best of the sweep: its run follows, evaluated on test", best.number)
    return chosen


def repeats(settings: ImageTraining, plan: Sweep) -> list[tuple[int, int | None]]:
    """The seed and the fold of each training of a trial; the fold is None without `split.folds`."""
    split = settings.split
    if plan.folds and not split.folds:
        raise UserError(f"sweep.folds={plan.folds} needs a cross-validation, such as split.folds=5")
    if wrong := [fold for fold in plan.folds if not 0 <= fold < (split.folds or 0)]:
        raise UserError(f"sweep.folds={plan.folds}: split.folds={split.folds} has no fold {wrong}")
    if plan.folds and split.fold is not None and plan.folds != [split.fold]:
        raise UserError(f"sweep.folds={plan.folds} and split.fold={split.fold}: give one of them")
    folds: list[int | None] = [split.fold or 0] if split.folds else [None]
    if plan.folds:
        folds = list(plan.folds)
    return list(product(plan.seeds or [settings.seed], folds))


class Trainings:
    """The trainings of the trials of one `study`, each with every seed and fold of `parts`."""

    def __init__(
        self,
        train_once: TrainOnce,
        settings: ImageTraining,
        parts: list[tuple[int, int | None]],
        study: "Study",
    ) -> None:
        self.train_once, self.settings, self.parts, self.study = train_once, settings, parts, study
        self._checked: set[int | None] = set()
        """Folds whose splits passed the leak gate: they are the same in every trial."""

    def train(self, trial: "Trial") -> float:
        """The mean over all parts of the monitored metric. Raises `Pruned` and `Diverged`."""
        import keras

        self.forget_others(trial)
        runs: list[str] = []
        values: list[float] = []
        computed, reused = TALLY.computed, TALLY.reused
        for seed, fold in self.parts:
            settings = self._settings(trial, seed, fold)
            try:
                trained = self.train_once(settings, self._watch(trial, runs, len(values)))
                values.append(value(trained, settings))
            finally:
                keras.utils.clear_session()
                counts = [TALLY.computed - computed, TALLY.reused - reused]
                trial.set_user_attr(studies.ACTIVATIONS, counts)
            self._checked.add(fold)
        return sum(values) / len(values)

    def forget_others(self, trial: "Trial | None" = None, seed: int | None = None) -> None:
        """Remove all checkpoints but those of the best trial so far, and of `trial`.

        If the sweep has ended, only those of `seed` are of use.
        """
        from optuna.trial import TrialState

        known = self.study.trials
        kept = [known[trial.number]] if trial else []
        if any(each.state == TrialState.COMPLETE for each in known):
            kept.append(studies.best(self.study))
        runs = {run for each in known for run in each.user_attrs.get(studies.RUNS) or []}
        for each in kept:
            for ids in studies.lineage(self.study, each):
                own = zip(ids, self.parts, strict=False)  # a killed trial has fewer runs
                runs -= {run for run, (used, _) in own if seed in (None, used)}
        forget(Path(self.settings.env.cache), runs)

    def _settings(self, trial: "Trial", seed: int, fold: int | None) -> ImageTraining:
        settings = applied(self.settings, trial.params)
        assert settings.sweep is not None
        unchecked = settings.gate.enabled and fold not in self._checked
        return replace(
            settings,
            seed=seed,
            split=replace(settings.split, fold=fold),
            gate=replace(settings.gate, enabled=unchecked),
            sweep=replace(settings.sweep, trial=trial.number),
        )

    def _watch(self, trial: "Trial", runs: list[str], part: int) -> Watch:
        """Tells Optuna of the epochs of the first part, and notes the runs of all."""
        monitor = self.settings.fit.monitor.name

        def watch(run_id: str, epoch: int, values: dict[str, Any]) -> None:
            if len(runs) == part:
                runs.append(run_id)
                trial.set_user_attr(studies.RUNS, runs)
            if part:
                return
            trial.report(values[monitor], epoch)
            if trial.should_prune():
                raise Pruned(f"{monitor} is worse than the median of the others at epoch {epoch}")

        return watch


def _publish(
    study: "Study", settings: ImageTraining, parts: list[tuple[int, int | None]], run: Run
) -> None:
    """Log the report of the sweep, with the interval of its best trial on validation images."""
    best = studies.best(study)
    runs = best.user_attrs[studies.RUNS]
    tables = [fetch_table(FoldRun(run_id, {}), trials.VALIDATION) for run_id in runs]
    swept = Swept(
        trials=studies.table(study),
        params=list(best.params),
        best=best.number,
        importances=studies.importances(study),
        validation=pd.concat(tables, ignore_index=True),
        parts=len(parts),
    )
    made: Report = run.step(report, swept, settings)
    trials.log_best(best.number, runs)
    run.log_report(made)
    shared = [
        f"{made.scalars[f'activations_{name}']:.0f} {name}" for name in ("computed", "reused")
    ]
    log.info("activations of frozen layers, of an image in a view: %s", ", ".join(shared))
