"""Runs side by side on the same test images: `python -m models +pipeline=compare_<dataset>`.

The first run is the reference, and each other run is compared with it. Runs of single models and
pooled runs of cross-validations can be compared, if both predicted the same images.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf

from conf.errors import UserError
from conf.schema import ImageComparison, Transform, typed
from datasets.common.contract import Images
from train.common.data.pixels import decode
from train.common.data.types import Report
from train.common.evaluation import figures, metrics, paired, words
from train.common.tracking.load import FoldRun, fetch_config, fetch_table, finished_run, has
from train.common.tracking.log import tracked_run
from train.jobs.common import verified

SHOWN = ("accuracy", "mcc", "f1_macro", "recall_macro", "roc_auc_macro", "log_loss", "brier")
LEFT_OUT = ("env.", "split.fold")
"""Settings that do not describe a training, or that differ between folds."""


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Compared:
    """A finished run and its predictions for its test images."""

    name: str
    """Letter and experiment that stand for the run in the report."""
    run: FoldRun
    table: pd.DataFrame
    """One row per image, by file: label, cluster, probabilities by class."""


def job(config: DictConfig) -> Report:
    """Differences of settings, metrics and predictions of finished runs, as one report."""
    settings = typed(config, ImageComparison)
    with tracked_run(settings) as run:
        images = verified(settings, run)
        runs = [
            read(run_id, letter, images)
            for run_id, letter in zip(settings.compare.runs, LETTERS, strict=False)
        ]
        if len(runs) < 2:
            raise UserError(
                "compare.runs needs two or more runs, the reference first: "
                "'compare.runs=[<run id>,<run id>]'; make mlflow lists them"
            )
        report = compared(runs, images, settings)
        run.log_report(report)
        return report


def read(run_id: str, letter: str, images: Images) -> Compared:
    """A finished run and its predictions. Raises `UserError` for a run on other data."""
    run = finished_run(run_id)
    digest = run.tags.get("data_digest")
    if digest != images.digest:
        raise UserError(
            f"run {run_id} used other data (digest {str(digest)[:16]}) than these "
            f"({images.digest[:16]}): give its environment and settings of the dataset "
            "(env=..., dataset.source=..., dataset.path=...)"
        )
    table = fetch_table(run, "tables/predictions.csv").set_index("file")
    classes = list(images.classes)
    known = images.frame.set_index("file")[["label", "cluster"]]
    name = f"{letter} ({run.tags.get('pipeline', run_id).removeprefix('train_')})"
    return Compared(name, run, known.join(metrics.normalised(table[classes]), how="inner"))


def compared(runs: list[Compared], images: Images, settings: ImageComparison) -> Report:
    """The report on `runs`, the first of which is the reference."""
    reference, *others = runs
    parts = [_pair(reference, other, images.classes) for other in others]
    summary: list[str] = []
    tables: dict[str, pd.DataFrame] = {}
    scalars: dict[str, float] = {}
    for other, (pair, files) in zip(others, parts, strict=True):
        differs = paired.differences(pair, settings.metrics, settings.seed)
        letter = other.name[0]
        of = f"_{letter}" if len(others) > 1 else ""
        summary.append(
            paired.verdict(pair, differs, (reference.name, other.name), settings.metrics.confidence)
        )
        tables[f"metrics{of}"] = _shown(differs, images.classes, letter)
        tables[f"disagreements{of}"] = _disagreements(pair, files, letter)
        columns = ("difference", "low", "high")
        for name, (value, low, high) in differs[list(columns)].iterrows():
            scalars |= {
                f"{letter}_minus_A_{name}": float(value),
                f"{letter}_minus_A_{name}_low": float(low),
                f"{letter}_minus_A_{name}_high": float(high),
            }
    tables["settings"] = _settings(runs)
    pair, files = parts[0]
    shared = len(pair.labels)
    return Report(
        scalars={name: value for name, value in scalars.items() if np.isfinite(value)},
        tables=tables,
        figures=_curves(runs) | {"disagreements": _gallery(pair, files, images, settings)},
        notes=[
            *words.drawn(settings.dataset),
            *words.few_groups(len(np.unique(pair.groups)), "near-duplicate clusters"),
            *(
                f"{each.name} has {len(each.table)} test images, and {shared} of them are compared."
                for each in runs
                if len(each.table) != shared
            ),
        ],
        facts={
            "data digest": images.digest[:16],
            "images compared": shared,
            **{each.name: each.run.run_id for each in runs},
            "intervals": f"{settings.metrics.confidence:.0%}, {settings.metrics.bootstrap} paired "
            "bootstrap resamples of near-duplicate clusters",
        },
        captions={
            "metrics": "Differences with intervals; both runs predicted the same images.",
            "disagreements": "Images that one run predicts rightly and another does not, the most "
            "confident mistakes first; the probability is that of the mistake.",
        },
        summary=summary,
    )


def _pair(
    first: Compared, second: Compared, classes: tuple[str, ...]
) -> tuple[paired.Pair, pd.Index]:
    """The predictions of two runs for the images that both predicted, and their files."""
    files = first.table.index.intersection(second.table.index)
    if files.empty:
        raise UserError(
            f"runs {first.run.run_id} and {second.run.run_id} have no test image in common: "
            "compare runs of the same split"
        )
    one, two = first.table.loc[files], second.table.loc[files]
    return (
        paired.Pair(
            one["label"].to_numpy(dtype=np.int64),
            one[list(classes)].to_numpy(),
            two[list(classes)].to_numpy(),
            one["cluster"].to_numpy(),
            classes,
        ),
        files,
    )


def _shown(differs: pd.DataFrame, classes: tuple[str, ...], letter: str) -> pd.DataFrame:
    """The metrics to read: overall ones, then the recall of each class."""
    names = [*SHOWN, *(f"recall_{name}" for name in classes)]
    table = differs.loc[names].rename_axis("metric").reset_index()
    interval = [f"[{row.low:+.3f}, {row.high:+.3f}]" for row in table.itertuples()]
    return pd.DataFrame(
        {
            "metric": table["metric"],
            "A": table["first"],
            letter: table["second"],
            f"{letter} minus A": table["difference"],
            "interval": interval,
        }
    )


def _disagreements(pair: paired.Pair, files: pd.Index, letter: str) -> pd.DataFrame:
    """The images that only one of the two predicts rightly, the most confident mistake first."""
    one, two = pair.right
    names, rows = np.array(pair.classes), np.flatnonzero(one != two)
    table = pd.DataFrame(
        {
            "file": files[rows],
            "label": names[pair.labels[rows]],
            "A": names[pair.first[rows].argmax(axis=1)],
            letter: names[pair.second[rows].argmax(axis=1)],
            "right": np.where(one[rows], "A", letter),
            "probability": np.where(
                one[rows], pair.second[rows].max(axis=1), pair.first[rows].max(axis=1)
            ),
        }
    )
    return table.sort_values("probability", ascending=False, kind="stable")


def _gallery(
    pair: paired.Pair, files: pd.Index, images: Images, settings: ImageComparison
) -> Figure:
    """The first disagreements as pictures."""
    table = _disagreements(pair, files, "B").head(settings.compare.pictures)
    frame = images.frame[images.frame["file"].isin(table["file"])].reset_index(drop=True)
    shown = replace(images, frame=frame)
    stored = Transform(image_size=settings.compare.image_size)
    pixels = decode(shown, settings.dataset, stored, Path(settings.env.cache)).load()
    places = [int(frame.index[frame["file"] == file][0]) for file in table["file"]]
    titles = [f"A {r.A}\nB {r.B}\nis {r.label}" for r in table.itertuples()]
    return figures.gallery([pixels[place] for place in places], titles, "no disagreement")


def _settings(runs: list[Compared]) -> pd.DataFrame:
    """The settings that differ, one row per key and one column per run."""
    flat = {each.name[0]: _flat(each.run) for each in runs}
    keys = sorted({key for values in flat.values() for key in values})
    rows = [
        {"key": key} | {letter: values.get(key, "") for letter, values in flat.items()}
        for key in keys
        if len({values.get(key, "") for values in flat.values()}) > 1
    ]
    return pd.DataFrame(rows, columns=["key", *flat])


def _flat(run: FoldRun) -> dict[str, str]:
    """Settings of a run by dotted key, as text."""
    container = OmegaConf.to_container(fetch_config(run))
    assert isinstance(container, dict)
    flat = pd.json_normalize(container, sep=".").iloc[0]
    return {str(k): str(v) for k, v in flat.items() if not str(k).startswith(LEFT_OUT)}


def _curves(runs: list[Compared]) -> dict[str, Figure]:
    """Validation loss and accuracy of the runs by epoch; empty for pooled runs."""
    known = {
        each.name: fetch_table(each.run, "tables/history.csv")
        for each in runs
        if has(each.run, "tables/history.csv")
    }
    return {"curves": figures.histories(known)} if known else {}
