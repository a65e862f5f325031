"""What metadata alone, and the nearest other image, say about the class: studies of real sets.

    SONDA_DATA=... python tests/benchmarks/probes.py env=production

Each set is validated at random, where near-copies of an image may be in the other folds, and by
cluster, where they may not. The tracking server is that of `MLFLOW_TRACKING_URI`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.tables import show
from tests.common import ROOT
from train.common.evaluation import metrics

SETS = {
    "endoscopy4": ["+pipeline=study_kvasir4"],
    "endoscopy4, border and inset hidden": [
        "+pipeline=study_kvasir4", "transform.hide_border=0.1",
        "transform.hide_inset=[0,0.55,0.37,1]",
    ],
    "kidney2": ["+pipeline=study_kidney2"],
    "kidney4": ["+pipeline=study_kidney2"],
}  # fmt: skip
"""The studies by the folder of their images."""


def main() -> None:
    """Run each study, and print one table of all."""
    import mlflow

    lines = []
    for name, words in SETS.items():
        home = Path(os.environ["SONDA_DATA"], name.partition(",")[0]).resolve()
        given = ["dataset.source=directory", f"dataset.path={home}", *words, *sys.argv[1:]]
        command = [sys.executable, "-m", "datasets", *given]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
        (run,) = re.findall(r"MLflow run ([0-9a-f]{32})", done.stdout + done.stderr)
        path = mlflow.artifacts.download_artifacts(
            run_id=run, artifact_path="tables/leak_probes.csv"
        )
        chance = mlflow.MlflowClient().get_run(run).data.metrics["chance"]
        for probe, rows in pd.read_csv(path).groupby("probe", sort=False):
            found = rows.set_index("validated")[["value", "low", "high"]]
            cells = [metrics.cell(*found.loc[kind]) for kind in ("at random", "by cluster")]
            lines.append([name, str(probe), *cells, f"{chance:.3f}"])
    show(["images", "probe", "accuracy at random", "by cluster", "largest class"], lines)


if __name__ == "__main__":
    main()
