"""The figures of a run, in a small file that the documentation makes tables and plots of.

    python -m docs.results --run RUN_ID [--name kidney4-series] [--note "no augmentation"]

Reads MLflow at `MLFLOW_TRACKING_URI` and writes `docs/results/<name>.json`; `python -m docs.tables`
and `python -m docs.pictures leak` read it. The run is a training, or the one that joins the folds
of a cross-validation. One that compares the estimators of a table becomes a file for each of them,
and one for the choice of each fold.
"""

import argparse
import json
import os
import re
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
FIGURE = re.compile(r"\[\s+([-\d.,\s]+?)\s+\]")
OF_EACH_FOLD = "best of each fold"
"""The model of a comparison: in each outer fold, the estimator whose search scored best."""
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7)
"""Shares of the test images, the surest predictions first, whose error is kept as `risk_<share>`.
"""
GROUPED = "cluster"
"""How `split.by` calls splits that keep near-duplicates and series together."""


@dataclass(frozen=True)
class Result:
    """What one run found, and where that comes from."""

    data: str
    """The images or rows, such as `kidney4`: the folder of `dataset.path`, else the dataset."""
    model: str
    """Name of the model; the estimator for a table, or `OF_EACH_FOLD`."""
    weights: str
    """`imagenet`, `none` or the name of a file; empty for a model of a table."""
    split: str
    """`official`, `cluster` or `random`."""
    folds: int | None
    count: int
    """Images or rows of the test set; with folds, all of them."""
    revision: str
    """Of the code."""
    run: str
    """Id in MLflow, or where the figures were taken from."""
    note: str = ""
    metrics: dict[str, list[float]] = field(default_factory=dict)
    """Value and, where there is one, interval, by the name in MLflow without `test_`."""
    footnote: bool = False
    """Whether only the guide on results shows it, and not the README."""

    @property
    def protocol(self) -> str:
        """What was test, in words."""
        words = {"cluster": "by cluster", "random": "at random", "group": "by group"}
        how = words.get(self.split, self.split)
        return f"{self.folds} folds {how}" if self.folds else f"one split {how}"


def load(folder: Path = RESULTS) -> dict[str, Result]:
    """Every result by the name of its file."""
    return {
        path.stem: Result(**json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))
    }


def write(result: Result, name: str, folder: Path = RESULTS) -> Path:
    """Write `result` as `<name>.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    text = json.dumps(asdict(result), indent=1, ensure_ascii=False)
    # A line for each figure with its interval, so that a change of one is one line of a diff.
    text = FIGURE.sub(lambda found: f"[{' '.join(found[1].split())}]", text)
    path.write_text(text + "\n")
    return path


def of_run(run_id: str, note: str = "") -> list[Result]:
    """The figures that the run `run_id` logged; those cross-validated (`cv_`) where there are any.

    The first result is that of the run itself; the others are those of compared estimators.

    Raises `SystemExit` for a run that is unknown, unfinished or without figures.
    """
    import mlflow
    from omegaconf import OmegaConf

    from conf.schema import Estimator

    client = mlflow.MlflowClient()
    try:
        run = client.get_run(run_id)
    except mlflow.exceptions.MlflowException as error:
        raise SystemExit(f"docs: --run {run_id}: {error}") from None
    values, params, tags = run.data.metrics, run.data.params, run.data.tags
    prefix = "cv_" if any(name.startswith("cv_") for name in values) else "test_"
    named = {name.removeprefix(prefix): values[name] for name in values if name.startswith(prefix)}
    if run.info.status != "FINISHED" or not named:
        raise SystemExit(
            f"docs: --run {run_id} is {run.info.status} and has {len(named)} figures on test: name "
            "a finished training, or the run that joins its folds"
        )
    with tempfile.TemporaryDirectory() as scratch:
        path = mlflow.artifacts.download_artifacts(f"runs:/{run_id}/config.yaml", dst_path=scratch)
        config = OmegaConf.load(path)
        # Cross-validated rows of a table are all there are; its predictions are those of test.
        listed = "data/splits.csv" if prefix == "cv_" else "tables/predictions.csv"
        rows = mlflow.artifacts.download_artifacts(f"runs:/{run_id}/{listed}", dst_path=scratch)
        with Path(rows).open() as file:
            count = sum(1 for _ in file) - 1
        if "ece_after" in named:
            named |= risks(Path(rows), list(config.dataset.classes))
    source = OmegaConf.select(config, "dataset.path")
    data = Path(source) if source else Path(config.dataset.name)
    weights = OmegaConf.select(config, "model.weights", default="")
    folds = params.get("split.folds", "None") if prefix == "test_" else config.metrics.folds
    compared = [
        each.name for each in Estimator if any(name.startswith(f"{each.name}_") for name in named)
    ]
    parts = {name: _metrics(_below(named, name)) for name in compared}
    own = {k: v for k, v in named.items() if not k.startswith(tuple(f"{n}_" for n in compared))}
    first = Result(
        data=data.parent.name if data.suffix else data.name,
        model=OF_EACH_FOLD if compared else config.model.get("estimator") or config.model.name,
        weights=weights if weights in ("imagenet", "none", "") else Path(weights).name,
        split=OmegaConf.select(config, "split.by", default="group"),
        folds=None if folds in ("None", None) else int(folds),
        count=count,
        revision=tags.get("git_revision", "")[:7] + "-dirty" * (tags.get("git_dirty") == "true"),
        run=run_id,
        note=note,
        metrics=_metrics(own),
    )
    return [first, *(replace(first, model=name, metrics=part) for name, part in parts.items())]


def risks(predictions: Path, classes: list[str]) -> dict[str, float]:
    """The share of wrong predictions among the surest ones, for each of `COVERAGES`."""
    import numpy as np
    import pandas as pd

    table = pd.read_csv(predictions)
    order = np.argsort(-table[classes].max(axis=1).to_numpy(), kind="stable")
    wrong = (table["answer"] != table["label"]).to_numpy()[order]
    return {f"risk_{c:g}": float(wrong[: round(c * len(wrong))].mean()) for c in COVERAGES}


def _below(named: dict[str, float], part: str) -> dict[str, float]:
    """The figures of `part`, without its name."""
    start = f"{part}_"
    return {k.removeprefix(start): v for k, v in named.items() if k.startswith(start)}


def _metrics(named: dict[str, float]) -> dict[str, list[float]]:
    """Value and interval of each figure, by its name."""
    return {
        name: [round(number, 4) for number in _spread(named, name)]
        for name in sorted(named)
        if not name.endswith(("_low", "_high"))
    }


def _spread(named: dict[str, float], name: str) -> list[float]:
    return [named[k] for k in (name, f"{name}_low", f"{name}_high") if k in named]


def main(arguments: list[str] | None = None) -> Any:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Write the figures of a run for the documentation."
    )
    parser.add_argument("--run", required=True, help="id of the run in MLflow")
    parser.add_argument("--name", help="of the file; default <data>-<model>[-<split>]")
    parser.add_argument("--note", default="", help="what sets this run apart from the recipe")
    parser.add_argument("--footnote", action="store_true", help="leave it out of the README")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the file")
    given = parser.parse_args(arguments)
    os.environ.setdefault("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    first, *others = of_run(given.run, given.note)
    for found in (first, *others):
        name = given.name if found is first else None
        found = replace(found, footnote=given.footnote)
        print(f"docs: wrote {write(found, name or _name(found), given.results)}")
    print("docs: next: python -m docs.tables")


def _name(found: Result) -> str:
    """The name of the file of `found`; tables are split by group always."""
    parts = [found.data, found.model.replace(" ", "_"), *([found.split] if found.weights else [])]
    return "-".join(parts)


if __name__ == "__main__":
    main()
