r"""Nested cross-validation: estimators of a table are compared on the same outer folds [1].

Each estimator has a new search for each outer fold. The search sees no group of that fold, so its
choice of hyper-parameters cannot favour the figures. The run registers the estimator whose search
scores best. The same choice is made in each outer fold: `OF_EACH_FOLD` is the figure to expect of
the model that the run registers.

```mermaid
flowchart LR
    outer["outer fold, by group"] --> inner["a search of each estimator<br/>on the other folds"]
    inner -->|best score| choice["best of each fold"]
    inner --> each["predictions of each estimator"]
    choice & each --> table["figures with intervals,<br/>paired differences"]
```

1. Varma, Simon: *Bias in error estimation when using cross-validation for model selection*, BMC
   Bioinformatics 7, 91 (2006).
"""

import numpy as np
import pandas as pd

from conf.schema import TableTraining
from datasets.common.tables import Table
from train.common.data.types import Compared, Splits, TrainedPipeline
from train.common.evaluation import metrics, resampling

AUC = "roc_auc_macro"
OVERALL = [AUC, "average_precision_macro", "brier", "log_loss", "accuracy", "mcc"]
"""The metrics that every estimator has."""
SHOWN = {"roc_auc_macro": "ROC AUC", "brier": "Brier score", "accuracy": "accuracy", "mcc": "MCC"}
PANELS = {name: SHOWN[name] for name in ("roc_auc_macro", "brier")}
OF_EACH_FOLD = "best of each fold"


def estimators(compared: Compared, splits: Splits[Table], settings: TableTraining) -> pd.DataFrame:
    """One row per estimator, by name, and `OF_EACH_FOLD`; columns (metric, value | low | high).

    The metrics are `OVERALL` and `difference`: its ROC AUC minus that of `OF_EACH_FOLD`, over the
    same resamples of groups.
    """
    everything = np.arange(len(splits.data.frame))
    labels, groups = splits.labels(everything), splits.groups(everything)
    answers = {kind.name: given for kind, given in compared.answers.items()}
    answers[OF_EACH_FOLD] = compared.held_out
    classes, resamples = splits.data.classes, settings.metrics.bootstrap
    values = pd.DataFrame(
        {name: metrics.scores(labels, given, classes) for name, given in answers.items()}
    ).T
    drawn = {
        name: resampling.scores(labels, given, groups, classes, resamples, settings.seed)
        for name, given in answers.items()
    }
    values["difference"] = values[AUC] - values.loc[OF_EACH_FOLD, AUC]
    rows = {}
    for name, each in drawn.items():
        paired = each.assign(difference=each[AUC] - drawn[OF_EACH_FOLD][AUC])
        table = metrics.summarized(values.loc[name], paired, settings.metrics.confidence)
        rows[name] = table.loc[[*OVERALL, "difference"]].stack()
    return pd.DataFrame(rows).T


def flat(figured: pd.DataFrame) -> dict[str, float]:
    """`estimators` as metrics of a run: `cv_<estimator>_<metric>`, `..._low` and `..._high`."""
    scalars: dict[str, float] = {}
    for name, row in figured.drop(index=OF_EACH_FOLD).iterrows():
        table = row.unstack()[["value", "low", "high"]]
        scalars |= metrics.flat(table, f"cv_{name}")
    return scalars


def compared_table(
    figured: pd.DataFrame, compared: Compared, given: TrainedPipeline
) -> pd.DataFrame:
    """The table of the report: one row per estimator, best inner score first, then the choice."""
    rows = []
    for kind in sorted(given.scores, key=given.scores.__getitem__, reverse=True):
        name = f"{kind.name} (taken)" if kind == given.estimator else kind.name
        rows.append(
            {"estimator": name, "score on train": f"{given.scores[kind]:.3f}"}
            | _cells(figured.loc[kind.name])
            | {"best in folds": compared.choices.count(kind), "seconds": compared.seconds[kind]}
        )
    last = {"best in folds": len(compared.choices), "seconds": sum(compared.seconds.values())}
    best = {"estimator": OF_EACH_FOLD, "score on train": ""} | _cells(figured.loc[OF_EACH_FOLD])
    return pd.DataFrame([*rows, best | last]).astype({"seconds": int})


def _cells(row: pd.Series) -> dict[str, str]:
    titles = SHOWN | {"difference": "ROC AUC minus best of each fold"}
    return {
        title: metrics.cell(*(row[name, end] for end in ("value", "low", "high")))
        for name, title in titles.items()
    }


def caption(given: TrainedPipeline, settings: TableTraining, group: str) -> str:
    """The caption of the table."""
    scoring = settings.fit.scoring.name
    return (
        f"Nested cross-validation: all estimators have the same {settings.metrics.folds} outer "
        f"folds by {group}, and each has a search of {settings.fit.candidates} settings in every "
        f"fold. {given.estimator.name} was chosen by its {scoring} on train ('score on train'), "
        f"before these figures were known. '{OF_EACH_FOLD}' makes the same choice in every outer "
        "fold: quote this figure for the model of this run."
    )


def chosen_among(given: TrainedPipeline, settings: TableTraining) -> str:
    """The chosen estimator, and the criterion of the choice."""
    if len(given.searches) == 1:
        return given.estimator.name
    return (
        f"{given.estimator.name}, of {', '.join(kind.name for kind in given.searches)} by "
        f"{settings.fit.scoring.name} cross-validated on train"
    )
