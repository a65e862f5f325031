"""Recipes of tables: dataset, model, training and jobs."""

from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING, SI

from conf.schema.base import About, Config, ModelStudy, Predict, Probes, Source
from conf.schema.publishing import PromotionRule


@dataclass
class TableDataset:
    """A classification set in one table: one row per record, and a column of groups."""

    name: str = MISSING
    """Name of the folder `datasets/<name>`."""
    classes: list[str] = MISSING
    """Class names, in the order of the model's outputs."""
    source: Source = MISSING
    """`sample` or `directory`."""
    path: str | None = None
    """CSV file of `source=directory`, or a folder with one CSV file in it."""
    features: list[str] = MISSING
    """Columns that the model sees."""
    about: About = field(default_factory=About)
    titles: dict[str, str] = field(default_factory=dict)
    """Names of classes in reports, if the class names are hard to read."""
    sample_rows: int = SI("${cap:900,${env.limits.rows}}")
    """Rows that `source=sample` generates."""
    seed: int = 0
    """Seed of the generated table."""


class Estimator(Enum):
    """The scikit-learn estimator."""

    logistic_regression = "logistic_regression"
    random_forest = "random_forest"
    extra_trees = "extra_trees"
    """A forest with random thresholds, whose probabilities are smoother."""
    gradient_boosting = "gradient_boosting"


@dataclass
class TableModel:
    """A scikit-learn pipeline: imputation, encoding and an estimator."""

    name: str = MISSING
    """Name of the folder `models/<name>`."""
    estimator: Estimator | None = MISSING
    """`null` compares all estimators, and takes the one whose search scores best on train."""


@dataclass
class TableSplit:
    """Train, validation and test, made of whole groups of rows."""

    validation: float = 0.2
    """Share of the rows."""
    test: float = 0.2
    """Share of the rows."""
    seed: int = 0
    """Seed of the drawn splits."""


class Scoring(Enum):
    """The score that the search maximizes; names of scikit-learn."""

    roc_auc = "roc_auc"
    neg_log_loss = "neg_log_loss"
    neg_brier_score = "neg_brier_score"


@dataclass
class TableFit:
    """The random search of hyper-parameters, cross-validated by group."""

    candidates: int = SI("${cap:12,${env.limits.candidates}}")
    """Candidates of the random search; 1 takes the first that is drawn."""
    folds: int = SI("${cap:4,${env.limits.folds}}")
    """Folds of the search, by group."""
    scoring: Scoring = Scoring.roc_auc
    workers: int = 2
    """Processes of the search."""


@dataclass
class TableMetrics:
    """The evaluation on test, and the cross-validation over all rows."""

    bootstrap: int = SI("${cap:1000,${env.limits.resamples}}")
    """Bootstrap resamples of whole groups."""
    confidence: float = 0.95
    """Level of the intervals."""
    folds: int = SI("${cap:6,${env.limits.folds}}")
    """Outer folds by group, the same for every estimator; each has its own searches. 0 skips the
    cross-validation."""
    permutations: int = 10
    """Permutations of each feature on validation, for its importance."""


@dataclass
class TableTraining(Config):
    """`recipe: table_training`: train a classifier of table rows."""

    dataset: TableDataset = MISSING
    model: TableModel = MISSING
    split: TableSplit = field(default_factory=TableSplit)
    fit: TableFit = field(default_factory=TableFit)
    metrics: TableMetrics = field(default_factory=TableMetrics)
    promotion: PromotionRule = field(default_factory=PromotionRule)


@dataclass
class TableDatasetJob(Config):
    """`recipe: table_dataset`: build, verify, report and write a table."""

    dataset: TableDataset = MISSING
    table: str = MISSING
    """Name of the written table, `<model>_dataset_<version>`."""


@dataclass
class TableDatasetStudy(Config):
    """`recipe: table_dataset_study`: search a table for columns that leak the outcome."""

    dataset: TableDataset = MISSING
    probes: Probes = field(
        default_factory=lambda: Probes(bootstrap=SI("${cap:200,${env.limits.resamples}}"))
    )


@dataclass
class TableModelStudy(Config):
    """`recipe: table_model_study`: importance and calibration of a registered model of a table."""

    dataset: TableDataset = MISSING
    model: TableModel = MISSING
    study: ModelStudy = field(default_factory=ModelStudy)


@dataclass
class TablePrediction(Config):
    """`recipe: table_prediction`: score the rows of a CSV file with a registered model."""

    dataset: TableDataset = MISSING
    model: TableModel = MISSING
    predict: Predict = field(default_factory=Predict)
