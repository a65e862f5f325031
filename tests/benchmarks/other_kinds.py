"""How well a registered model refuses images of other kinds: the table of its study.

    python tests/benchmarks/other_kinds.py study_efficientnetliteft --unlike /path/to/kidney4 \
        env=production study.model_uri=models:/efficientnetliteft-kvasir4/1 dataset.path=...

The tracking server is that of `MLFLOW_TRACKING_URI`.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.tables import show
from tests.common import ROOT


def main() -> None:
    """Run the study, and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pipeline", help="study_<model>")
    parser.add_argument("--unlike", action="append", type=Path, help="a folder of images")
    parser.add_argument("overrides", nargs="*", help="settings of the study")
    given = parser.parse_intermixed_args()
    folders = ",".join(str(folder.resolve()) for folder in given.unlike or [])
    with tempfile.TemporaryDirectory() as home:
        command = [
            *("-m", "models", f"+pipeline={given.pipeline}", f"study.unlike=[{folders}]"),
            *(*given.overrides, f"hydra.run.dir={home}"),
        ]
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    import mlflow

    (run,) = re.findall(r"MLflow run ([0-9a-f]{32})", done.stdout + done.stderr)
    table = pd.read_csv(
        mlflow.artifacts.download_artifacts(run_id=run, artifact_path="tables/other_kinds.csv")
    )
    shares = table.select_dtypes("float").columns
    table[shares] = table[shares].map(lambda share: f"{100 * share:.1f} %")
    show(list(table.columns), table.fillna("").astype(str).values.tolist())


if __name__ == "__main__":
    main()
