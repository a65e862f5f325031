"""Study of a table for leaks: `python -m datasets +pipeline=study_<name>`."""

import importlib

import numpy as np
import pandas as pd
from omegaconf import DictConfig
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from conf.schema import TableDatasetStudy, typed
from datasets.common.tables import Table, load
from train.common.data.types import Report
from train.common.evaluation import words
from train.common.evaluation.metrics import interval, macro_auc
from train.common.evaluation.probes import LEAF, TREES, held_out
from train.common.tracking.log import tracked_run
from train.jobs import pictures
from train.jobs.table_common import counts, described, facts, reasons, verified

LEAVES = 8
"""Leaves of the tree on a single column."""
TELLING = 0.95
"""ROC AUC from which a single column counts as a leak."""
TOGETHER = "the features together"
CAPTIONS = {
    "leak_probes": "ROC AUC of a tree of 8 leaves on a single column, also for columns that are "
    "refused as features. Near 1: the column is known only after the outcome. High at random and "
    "low by group: the column identifies the group. The last row is a forest on all features.",
    "missing_values": "Share of rows without a value, by class. If the shares differ, a missing "
    "value predicts the outcome.",
}


def job(config: DictConfig) -> Report:
    """Class balance, missing values and leak probes as one report."""
    settings = typed(config, TableDatasetStudy)
    with tracked_run(settings) as run:
        table = verified(settings, run)
        offered = everything(table, settings)
        probes, notes = leaks(offered, table, settings)
        counted = counts(table)
        by = probes.set_index(["probe", "validated"])["value"]
        report = Report(
            scalars={
                "rows": len(table.frame),
                **{f"auc_{column}_{kind}".replace(" ", "_"): v for (column, kind), v in by.items()},
            },
            tables={
                "class_balance": counted,
                "leak_probes": probes,
                "missing_values": missing(offered, table),
                "left_out": reasons(table),
            },
            figures={
                "class_balance": pictures.bars(counted, "class", "rows"),
                "leak_probes": pictures.probes(probes, 0.5, "ROC AUC", "chance"),
            },
            notes=[*words.drawn(settings.dataset), *notes],
            facts=facts(table, settings),
            captions=CAPTIONS,
            summary=[words.balance(counted, "rows", words.titles(settings.dataset))],
            first=("leak_probes", "is a column known only after the outcome?"),
        )
        run.log_report(report)
        return report


def everything(table: Table, settings: TableDatasetStudy) -> pd.DataFrame:
    """All columns of the file, also those that are not features, for the rows of `table`."""
    synthetic = importlib.import_module(f"datasets.{settings.dataset.name}.synthetic")
    frame = load(settings.dataset, described(settings.dataset).CONTRACT, synthetic.draw)
    return frame.iloc[table.frame["row"].to_numpy() - 1].reset_index(drop=True)


def missing(offered: pd.DataFrame, table: Table) -> pd.DataFrame:
    """One row for each column with missing values: column, share in all rows and in each class."""
    empty = offered.isna()
    shares = empty.groupby(table.frame["label"]).mean().T
    shares.columns = list(table.classes)
    shares.insert(0, "all", empty.mean())
    return shares[shares["all"] > 0].rename_axis("column").reset_index()


def leaks(
    offered: pd.DataFrame, table: Table, settings: TableDatasetStudy
) -> tuple[pd.DataFrame, list[str]]:
    """Probes of every column and of all features, at random and by group; and the warnings."""
    coded = offered.apply(lambda c: c if c.dtype.kind in "if" else pd.factorize(c)[0])
    labels, groups = table.frame["label"].to_numpy(), table.frame["group"].to_numpy()
    tree = DecisionTreeClassifier(max_leaf_nodes=LEAVES, min_samples_leaf=LEAF, random_state=0)
    forest = RandomForestClassifier(TREES, min_samples_leaf=LEAF, random_state=0, n_jobs=-1)
    probes = [(name, tree, [name]) for name in coded]
    probes.append((TOGETHER, forest, list(table.features)))
    rows = []
    for name, model, columns in probes:
        for kind, given in (("at random", None), ("by group", groups)):
            said = held_out(
                model,
                coded[columns],
                labels,
                given,
                settings.probes,
                settings.seed,
                "predict_proba",
            )
            if said is not None:
                value, low, high = _auc(said, labels, groups, settings)
                rows.append((name, kind, value, low, high))
    found = pd.DataFrame(rows, columns=["probe", "validated", "value", "low", "high"])
    found["refused because"] = (
        found["probe"].map(described(settings.dataset).CONTRACT.refused).fillna("")
    )
    best = found.groupby("probe")["value"].transform("max")
    found = found.assign(best=best, last=found["probe"] == TOGETHER)
    found = found.sort_values(["last", "best"], ascending=[True, False], kind="stable")
    return found.drop(columns=["best", "last"]).reset_index(drop=True), _caveats(found)


def _auc(
    said: np.ndarray, labels: np.ndarray, groups: np.ndarray, settings: TableDatasetStudy
) -> tuple[float, float, float]:
    """Mean ROC AUC, each class against the rest, and its interval over whole groups."""

    def auc(rows: np.ndarray) -> float:
        return macro_auc(labels[rows], said[rows])

    return interval(auc, groups, settings.probes, settings.seed)


def _caveats(found: pd.DataFrame) -> list[str]:
    """Warnings that a reader needs before choosing features."""
    notes = []
    single = found[found["probe"] != TOGETHER]
    worst = single.groupby("probe", sort=False).agg(
        value=("value", "max"), why=("refused because", "first")
    )
    for column, row in worst[worst["value"] >= TELLING].iterrows():
        known = (
            f"it is refused: {row['why']}"
            if row["why"]
            else "is it known at the time of the prediction?"
        )
        notes.append(f"{column} alone tells the outcome (ROC AUC {row['value']:.3f}); {known}.")
    by = found[found["probe"] == TOGETHER].set_index("validated")
    if len(by) == 2 and by.loc["at random", "value"] - by.loc["by group", "value"] > 0.02:
        notes.append(
            f"The features reach {by.loc['at random', 'value']:.3f} at random and "
            f"{by.loc['by group', 'value']:.3f} by group: a random split is optimistic."
        )
    return notes
