"""What a sweep of N trials costs against N commands with the same settings.

    python tests/benchmarks/sweep.py                              20 trials on the generated sample
    python tests/benchmarks/sweep.py --trials 3 --pipeline train_vgg16ft env.limits.image_size=32

The space is a head and learning-rate sweep. The trials run to their end (no pruning), and the same
settings are then trained by one command each, in two ways: with one cache for all commands, and
with a cache for each, as if nothing were shared. Commands also evaluate and register each model,
which the trials of a sweep do not; the sweep does so once, and that is part of its time.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.tables import show
from tests.common import ROOT

SPACE = (
    "sweep.space={fit.finetune.learning_rate: {low: 1e-5, high: 1e-3, log: true}, "
    "model.dropout: {low: 0.0, high: 0.5}, fit.schedule: {choices: [constant, cosine]}}"
)
SHARED = re.compile(r"activations of frozen layers.*: (\d+) computed, (\d+) reused")


def train(folder: Path, *arguments: str) -> tuple[float, str]:
    """Seconds of `python -m train` with its cache in `folder`, and what it printed."""
    places = [f"env.cache={folder}/cache", f"hydra.run.dir={folder}/outputs"]
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "train", *arguments, *places],
        cwd=ROOT,
        env=os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        sys.exit(done.stdout)
    return time.perf_counter() - started, done.stdout


def settings(folder: Path) -> list[list[str]]:
    """The settings of each trial of the sweep in `folder`, as overrides of the command line."""
    [journal] = (folder / "cache" / "sweeps").glob("*.journal")
    storage = JournalStorage(JournalFileBackend(str(journal)))
    [study] = storage.get_all_studies()
    trials = storage.get_all_trials(study._study_id)
    return [[f"{key}={value}" for key, value in each.params.items()] for each in trials]


def main() -> None:
    """Run the sweep, then the commands, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--pipeline", default="train_efficientnetliteft")
    parser.add_argument("overrides", nargs="*", help="settings of all trainings")
    given = parser.parse_intermixed_args()
    command = [f"+pipeline={given.pipeline}", *given.overrides]
    plan = [f"sweep.trials={given.trials}", "sweep.prune=false", SPACE]
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        for each in ("sweep", "shared", *(f"own{k}" for k in range(given.trials))):
            (home / each).mkdir()
        swept, said = train(home / "sweep", *command, "+sweep=quick", *plan)
        drawn = settings(home / "sweep")
        shared = [train(home / "shared", *command, *each)[0] for each in drawn]
        own = [train(home / f"own{k}", *command, *each)[0] for k, each in enumerate(drawn)]
    ways = {
        f"a sweep of {len(drawn)}": swept,
        f"{len(drawn)} commands, one cache": sum(shared),
        f"{len(drawn)} commands, a cache for each": sum(own),
    }
    show(
        ["", "s", "s a training", "against the sweep"],
        [[way, f"{s:.0f}", f"{s / len(drawn):.1f}", f"{s / swept:.1f}"] for way, s in ways.items()],
    )
    counts = SHARED.search(said)
    assert counts is not None, said
    print(
        f"\nThe sweep computed {int(counts[1]):,} activations of frozen layers, of an image in a "
        f"view, and read {int(counts[2]):,} again."
    )


if __name__ == "__main__":
    main()
