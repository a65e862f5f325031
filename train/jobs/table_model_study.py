"""Study of a registered model of a table: `python -m models +pipeline=study_<name>_model`.

It studies validation rows of the model's run, because only the training evaluates the test rows.
"""

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.figure import Figure
from omegaconf import DictConfig
from sklearn.inspection import PartialDependenceDisplay

from conf.errors import UserError
from conf.schema import TableModelStudy, typed
from datasets.common.tables import Table
from train.common.data.types import Report
from train.common.evaluation import figures, metrics, words
from train.common.evaluation.tables import importances
from train.common.tracking.load import Registered, fetch_sklearn, fetch_table, registered
from train.common.tracking.log import tracked_run
from train.jobs.common import NOTES, check_digest
from train.jobs.table_common import verified

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

COLUMNS = 3
CAPTIONS = {
    "importance": "How much ROC AUC falls when one feature is shuffled. Correlated "
    "features share their importance.",
    "partial_dependence": "The mean probability of the last class if this feature has this value "
    "in every row. If features are correlated, some of these rows cannot exist.",
}


def job(config: DictConfig) -> Report:
    """Permutation importance, calibration and partial dependence as one report."""
    settings = typed(config, TableModelStudy)
    with tracked_run(settings) as run:
        model = registered(settings, settings.study.model_uri)
        table = verified(settings, run)
        check_digest(table.digest, model, settings.dataset)
        rows = studied(table, model, settings)
        pipeline, study = fetch_sklearn(model), settings.study
        inputs, labels = (
            rows[list(model.metadata["schema"]["properties"])],
            rows["label"].to_numpy(),
        )
        probabilities = pipeline.predict_proba(inputs)
        scores = metrics.scores(labels, probabilities, table.classes)
        kept = {name: scores[name] for name in ("roc_auc_macro", "brier", "log_loss", "accuracy")}
        titles = tuple(words.titles(settings.dataset).values())
        worth = importances(pipeline, inputs, labels, study.permutations, settings.seed)
        report = Report(
            scalars={f"{study.part.name}_{name}": value for name, value in kept.items()},
            tables={
                "scores": pd.DataFrame(kept.items(), columns=["metric", "value"]),
                "importance": worth,
            },
            figures={
                "importance": figures.importance(worth),
                "calibration": figures.calibration(labels, probabilities, titles),
                "partial_dependence": dependence(
                    pipeline, inputs, table, worth["feature"].tolist()
                ),
            },
            notes=[NOTES[study.part].format(what="rows")],
            facts={
                "model": f"{model.name} version {model.version}, {model.uri}",
                "run of the model": model.run_id,
                "data": f"{table.name}, {settings.dataset.source.name}",
                "data digest": table.digest,
                "rows": f"{len(rows)} of {study.part.name}",
            },
            captions=CAPTIONS,
            summary=[
                f"{model.name} version {model.version} is right for "
                f"{words.percent(scores['accuracy'])} of "
                f"{len(rows):,} {study.part.name} rows, with a ROC AUC of "
                f"{scores['roc_auc_macro']:.3f}."
            ],
            first=("importance", words.HANGS_ON),
        )
        run.log_report(report)
        return report


def studied(table: Table, model: Registered, settings: TableModelStudy) -> pd.DataFrame:
    """The rows of `study.part` of the model's run: features, label, group, row."""
    if absent := sorted(set(model.metadata["schema"]["properties"]) - set(table.features)):
        raise UserError(
            f"{model.uri} takes the feature {absent[0]}, which dataset.features leaves out: add it"
        )
    splits = fetch_table(model, "data/splits.csv")
    numbers = set(splits.loc[splits["split"] == settings.study.part.name, "row"])
    rows = table.frame[table.frame["row"].isin(numbers)]
    if rows.empty:
        raise UserError(f"run {model.run_id} has no {settings.study.part.name} rows (study.part)")
    return rows


def dependence(
    pipeline: "Pipeline", inputs: pd.DataFrame, table: Table, names: list[str]
) -> Figure:
    """Partial dependence of the last class on each feature of `names`."""
    rows = -(-len(names) // COLUMNS)
    figure = Figure(figsize=(11, 2.8 * rows), layout="constrained")
    grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes in grid[len(names) :]:
        axes.set_axis_off()
    for axes, name in zip(grid, names, strict=False):
        chosen = [name] if name in table.categories else None
        # Rows without a value would give NaN on the axis.
        known = inputs[inputs[name].notna()]
        target = len(table.classes) - 1 if len(table.classes) > 2 else None
        drawn = PartialDependenceDisplay.from_estimator(
            pipeline, known, [name], categorical_features=chosen, target=target, ax=axes
        )
        drawn.axes_[0][0].set(ylim=(0, 1), ylabel=f"probability of {table.classes[-1]}")
    return figure
