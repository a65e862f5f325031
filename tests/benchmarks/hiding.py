"""What hiding border and inset costs, and what the probes of the leak gate then find.

    SONDA_DATA=... MLFLOW_TRACKING_URI=sqlite:///hiding.db python tests/benchmarks/hiding.py \
        train_efficientnetliteft --hide transform.hide_border=0.1 \
        --hide 'transform.hide_inset=[0,0.55,0.37,1]'

Two trainings on endoscopy4, with and without the settings of `--hide`, on the same split by
cluster. Test images are not looked at: the figures are those of validation images, which chose the
epoch in both. The models that are served predict them, from whole images.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.tables import judge, show
from tests.common import ROOT, configuration
from train.common.data.build import build_images
from train.common.data.pixels import decode
from train.common.evaluation import metrics
from train.common.tracking.load import FoldRun, Registered, fetch_model, fetch_table, registered

PROBES = {"probe of metadata": "metadata", "probe of masked images": "images without centre"}


def main() -> None:
    """Train twice, and print a table of the probes and one of the predictions."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pipeline", help="train_<model>")
    parser.add_argument("--hide", action="append", required=True, help="a setting that hides")
    parser.add_argument("overrides", nargs="*", help="settings of both trainings")
    given = parser.parse_intermixed_args()
    words = [
        f"+pipeline={given.pipeline}", "env=production", "dataset.source=directory",
        f"dataset.path={Path(os.environ['SONDA_DATA'], 'endoscopy4').resolve()}",
        "split.by=cluster", *given.overrides,
    ]  # fmt: skip
    said = " ".join(setting.removeprefix("transform.") for setting in given.hide)
    ways = {"whole images": words, said: [*words, *given.hide]}
    runs = {name: trained(settings) for name, settings in ways.items()}
    show(
        ["validation images", *(f"mean recall of the probe of {name}" for name in PROBES.values())],
        [[name, *probed(run)] for name, run in runs.items()],
    )
    table, classes, answers = predicted(runs, words)
    judge(answers, table, classes, "answers on validation")
    print(f"\n- Chance of a probe is {1 / len(classes):.3f}. Runs: {', '.join(runs.values())}.")


def trained(words: list[str]) -> str:
    """The id of the run that these settings made."""
    command = [sys.executable, "-m", "train", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    (run,) = re.findall(r"MLflow run ([0-9a-f]{32})", done.stdout + done.stderr)
    return str(run)


def probed(run: str) -> list[str]:
    """What each probe reached before the training, with its interval."""
    table = fetch_table(FoldRun(run, {}), "tables/gate.csv").set_index("check")
    cells = table.loc[list(PROBES), ["value", "low", "high"]].astype(float)
    return [metrics.cell(*row) for row in cells.to_numpy()]


def predicted(
    runs: dict[str, str], words: list[str]
) -> tuple[pd.DataFrame, tuple[str, ...], dict[str, np.ndarray]]:
    """The validation images, the classes, and the probabilities of each served model."""
    from models.common import PROBABILITIES, onnx_predict

    settings = configuration(*words)
    images = build_images(settings.dataset, Path(settings.env.cache))
    pixels = decode(images, settings.dataset, settings.transform, Path(settings.env.cache))
    splits = fetch_table(FoldRun(next(iter(runs.values())), {}), "data/splits.csv")
    files = splits.loc[splits["split"] == "validation", "file"]
    rows = np.flatnonzero(images.frame["file"].isin(files))
    models: dict[str, Registered] = {
        name: registered(settings, f"runs:/{run}/serving") for name, run in runs.items()
    }
    answers = {
        name: onnx_predict(fetch_model(model), pixels.read(rows))[PROBABILITIES]
        for name, model in models.items()
    }
    return images.frame.iloc[rows], images.classes, answers


if __name__ == "__main__":
    main()
