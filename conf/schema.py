"""The one typed source of every setting: dataclasses in Hydra's ConfigStore.

Every YAML under `conf/` fills these fields; a key that is not here does not exist, and a
value of another type is refused before any work starts. Fields whose value is `MISSING`
must be set by the environment, the dataset, the model or the pipeline.

```mermaid
classDiagram
    class Config["Config"]{
        seed ~int~
        version ~str~
        env ~Env~
        dataset ~ImageDataset~
        model ~ImageModel~
        transform ~Transform~
        split ~Split~
        fit ~Fit~
        metrics ~Metrics~
    }
    class Env["Env"]{
        name ~str~
        tracking_uri ~str~
        source ~str~
        limits ~Limits~
    }
    class Fit["Fit"]{
        warmup ~Phase~
        finetune ~Phase~
        augment ~Augment~
    }
    Config <|-- Env
    Config <|-- ImageDataset
    Config <|-- ImageModel
    Config <|-- Fit
    Env <|-- Limits
    Fit <|-- Phase
    Fit <|-- Augment
    ImageDataset <|-- Archive
    ImageDataset <|-- Dicom
```
"""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf


class Source(Enum):
    """Where an image dataset comes from."""

    sample = "sample"
    directory = "directory"
    archives = "archives"
    kaggle = "kaggle"


class SplitBy(Enum):
    """How train, validation and test are made."""

    official = "official"
    cluster = "cluster"
    random = "random"
    """By class alone: near-duplicates cross, and the report says so."""


class ClassWeights(Enum):
    """Whether rare classes weigh more in the loss."""

    none = "none"
    balanced = "balanced"


class Monitor(Enum):
    """The validation figure that chooses the best epoch."""

    val_loss = "val_loss"
    val_accuracy = "val_accuracy"


@dataclass
class Limits:
    """Upper bounds an environment sets on every pipeline; `null` is no bound."""

    epochs: int | None = None
    """Epochs of fine-tuning."""
    batch_size: int | None = None
    image_size: int | None = None
    """Side of the model's input in pixels."""
    images_per_class: int | None = None
    """Images per class and split; the sample source makes this many per class in all."""


@dataclass
class Env:
    """What governs every pipeline of a run: `env=development` or `env=production`."""

    name: str = MISSING
    tracking_uri: str = MISSING
    """MLflow's tracking and registry server."""
    source: Source = MISSING
    """Where datasets come from unless `dataset.source` says otherwise."""
    weights: str = MISSING
    """`imagenet`, `none` or a path, unless `model.weights` says otherwise."""
    promotion: bool = False
    """Whether a run of this environment may become `champion`."""
    cache: str = ".cache"
    """Folder of decoded images, digests, activations and checkpoints."""
    cache_limit_gb: float | None = 20.0
    """Largest size of the activations in `cache`; `null` is no limit."""
    limits: Limits = field(default_factory=Limits)


@dataclass
class Archive:
    """One archive: a local path, an http(s) URL or a Google Drive link, and its sha256."""

    uri: str | None = None
    """Required with `source=archives`."""
    sha256: str | None = None
    """Required for a URL or a Google Drive link."""


@dataclass
class Dicom:
    """The window that DICOM is seen through, in rescaled units: Hounsfield's for CT.

    Both or none: without, it is the first window of each file, and where there is none, the full
    range of its stored bits. Colour images have no window.
    """

    centre: float | None = None
    width: float | None = None


@dataclass
class ImageDataset:
    """A classification set of images, one folder per class."""

    name: str = MISSING
    classes: list[str] = MISSING
    """Folder names, in the order of the model's outputs."""
    source: Source = MISSING
    path: str | None = None
    """Folder of `source=directory`; where archives are unpacked and downloads kept otherwise."""
    archives: dict[str, Archive] = field(default_factory=dict)
    """By split, `train`, `validation` and `test`; or `all`, one archive that holds the set."""
    kaggle: str | None = None
    """Handle `<owner>/<dataset>` of `source=kaggle`."""
    expected: dict[str, int] | None = None
    """Images by split, or `all`, that archives and kaggle must hold; `null` accepts any number."""
    dicom: Dicom = field(default_factory=Dicom)
    min_side: int = 32
    """Smallest accepted side of an image in pixels."""
    max_pixels: int = 50_000_000
    """Largest accepted width times height."""
    max_bad_share: float = 0.01
    """Share of unreadable images above which the run stops."""
    hash_distance: int = 4
    """Largest Hamming distance, in bits of a 64-bit perceptual hash, of near-duplicates."""
    sample_images: int = 120
    """Images per class that `source=sample` generates."""
    limit: int | None = None
    """Images per class and split that are used at most."""
    seed: int = 0
    """Seed of the generated sample and of the choice under `limit`."""


@dataclass
class ImageModel:
    """A fine-tuned image classifier."""

    name: str = MISSING
    weights: str = MISSING
    """`imagenet`, `none` or the path of a `.weights.h5` of the backbone."""
    image_size: int = 224
    hidden: int = 32
    dropout: float = 0.2
    freeze: str = MISSING
    """Layer whose output is the freeze boundary: it and all before it never train."""


@dataclass
class Transform:
    """Decoding and resizing, done once and kept on disk."""

    image_size: int = MISSING
    workers: int = 2


@dataclass
class Split:
    """How the samples become train, validation and test."""

    by: SplitBy = SplitBy.official
    validation: float = 0.15
    """Share of the images, unless `by=official`."""
    test: float = 0.15
    """Share of the images, unless `by=official`; with `folds`, one of them is test."""
    folds: int | None = None
    """Cross-validation: every image is test in one of so many folds; `null` makes one split."""
    fold: int | None = None
    """The one fold that is trained, from 0; `null` trains all, and joins them into one figure."""
    seed: int = 0


@dataclass
class Augment:
    """Random affine views, in the units of Keras' ImageDataGenerator."""

    rotation: float = 0.0
    """Degrees, drawn from plus or minus this."""
    shift: float = 0.0
    """Fraction of the side, on each axis."""
    shear: float = 0.0
    """Degrees."""
    zoom: float = 0.0
    """Factor drawn from 1 plus or minus this, on each axis."""
    horizontal_flip: bool = False
    fill_value: int = 127
    """Grey level outside the image; 127 is the middle, the zero of pixels scaled to [-1, 1]."""


@dataclass
class Phase:
    """One phase of training with one learning rate."""

    epochs: int = MISSING
    learning_rate: float = MISSING


class Schedule(Enum):
    """The learning rate over the epochs of fine-tuning."""

    constant = "constant"
    cosine = "cosine"
    """From the rate of the phase down along half a cosine, epoch by epoch."""


class Cache(Enum):
    """What is kept of the layers that never train."""

    none = "none"
    """Nothing: every step runs the whole network."""
    activations = "activations"
    """Their answers, on disk: every step runs the layers that train."""


class Arithmetic(Enum):
    """The numbers that the convolutions of a training multiply; weights are always float32."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    """Half the time on CPUs that have them, and slow on others: `${native_precision:}`."""


@dataclass
class Fit:
    """Two phases: the head alone, then everything behind the freeze boundary."""

    warmup: Phase = field(default_factory=Phase)
    finetune: Phase = field(default_factory=Phase)
    batch_size: int = 32
    augment: Augment = field(default_factory=Augment)
    class_weights: ClassWeights = ClassWeights.none
    schedule: Schedule = Schedule.constant
    precision: Arithmetic = Arithmetic.float32
    """Of training and of stored activations; the trained model is evaluated in float32."""
    cache: Cache = Cache.activations
    views: int | None = 4
    """Augmented views of a training image that epochs take in turn, with `cache=activations`;
    `null` draws new ones in every epoch. Without a cache every epoch has its own."""
    monitor: Monitor = Monitor.val_loss
    patience: int | None = None
    """Epochs without a better `monitor` before fine-tuning stops; `null` never stops early."""
    resume: bool = True
    """Go on from the last finished epoch of a killed run with the same settings and data."""


@dataclass
class Metrics:
    """The evaluation on test and its intervals."""

    bootstrap: int = 1000
    """Resamples, of near-duplicate clusters."""
    confidence: float = 0.95
    worst: int = 24
    """Wrong answers shown in the picture grid."""


@dataclass
class TableDataset:
    """A classification set in one table: a row a record, and a column of what rows belong to."""

    name: str = MISSING
    classes: list[str] = MISSING
    """In the order of the model's outputs."""
    source: Source = MISSING
    """`sample` or `directory`."""
    path: str | None = None
    """CSV file of `source=directory`, or a folder with one CSV file in it."""
    features: list[str] = MISSING
    """Columns that the model sees."""
    sample_rows: int = 900
    """Rows that `source=sample` generates."""
    seed: int = 0
    """Seed of the generated table."""


class Estimator(Enum):
    """What learns from a table."""

    logistic_regression = "logistic_regression"
    random_forest = "random_forest"
    extra_trees = "extra_trees"
    """A forest whose thresholds are drawn at random: smoother where single features say little."""
    gradient_boosting = "gradient_boosting"


@dataclass
class TableModel:
    """A scikit-learn pipeline: imputation, encoding and an estimator."""

    name: str = MISSING
    estimator: Estimator = MISSING


@dataclass
class TableSplit:
    """Whole groups of rows become train, validation and test."""

    validation: float = 0.2
    """Share of the rows."""
    test: float = 0.2
    """Share of the rows."""
    seed: int = 0


class Scoring(Enum):
    """What a search of hyper-parameters holds for better, in scikit-learn's words."""

    roc_auc = "roc_auc"
    neg_log_loss = "neg_log_loss"
    neg_brier_score = "neg_brier_score"


@dataclass
class TableFit:
    """The random search of hyper-parameters, cross-validated by group."""

    candidates: int = 12
    """Settings that are tried; 1 takes the first that is drawn."""
    folds: int = 4
    scoring: Scoring = Scoring.roc_auc
    workers: int = 2


@dataclass
class TableMetrics:
    """The evaluation on test, and the cross-validation over all rows beside it."""

    bootstrap: int = 1000
    """Resamples, of whole groups."""
    confidence: float = 0.95
    folds: int = 6
    """By group, each with a search of its own; 0 leaves the cross-validation out."""
    permutations: int = 10
    """Of each feature on validation, for its importance."""


class Precision(Enum):
    """The arithmetic of the serving model."""

    fp32 = "fp32"
    int8 = "int8"


@dataclass
class Publish:
    """What leaves training."""

    precision: Precision = Precision.fp32
    """`int8` is quantized with NNCF, where it costs no more accuracy than `max_accuracy_loss`."""
    calibration_images: int = 300
    """Training images that the ranges of int8 are read off."""
    max_accuracy_loss: float = 0.003
    """On validation; where int8 loses more, float32 is registered, and said to be."""


@dataclass
class Config:
    """What every run has; a recipe adds the parts of its task.

    `dataset` and `model` are checked against the type their YAML names.
    """

    seed: int = 0
    version: str = MISSING
    env: Env = MISSING
    dataset: Any = MISSING


@dataclass
class ImageTraining(Config):
    """`recipe: image_training`: an image classifier is trained."""

    model: Any = MISSING
    transform: Transform = field(default_factory=Transform)
    split: Split = field(default_factory=Split)
    fit: Fit = field(default_factory=Fit)
    metrics: Metrics = field(default_factory=Metrics)
    publish: Publish = field(default_factory=Publish)


@dataclass
class TableTraining(Config):
    """`recipe: table_training`: a classifier of a table's rows is trained."""

    model: Any = MISSING
    split: TableSplit = field(default_factory=TableSplit)
    fit: TableFit = field(default_factory=TableFit)
    metrics: TableMetrics = field(default_factory=TableMetrics)


@dataclass
class Probes:
    """What tells labels from what is no finding, and how sure that is."""

    images: int = 5000
    """Images looked at at most; whole clusters are left out."""
    folds: int = 5
    bootstrap: int = 1000
    """Resamples, of near-duplicate clusters."""
    confidence: float = 0.95


@dataclass
class ImageDatasetJob(Config):
    """`recipe: image_dataset`: a set of images is built, verified and reported."""

    transform: Transform = field(default_factory=lambda: Transform(image_size=96))
    """The pictures of the report."""
    sheet: int = 24
    """Images of each class on its contact sheet."""


@dataclass
class ImageDatasetStudy(ImageDatasetJob):
    """`recipe: image_dataset_study`: what a model could learn instead of the finding."""

    probes: Probes = field(default_factory=Probes)


@dataclass
class TableDatasetJob(Config):
    """`recipe: table_dataset`: a table is built, verified, reported and written."""

    table: str = MISSING
    """Its name, `<model>_dataset_<version>`."""


@dataclass
class TableDatasetStudy(Config):
    """`recipe: table_dataset_study`: what a model could learn instead of the outcome."""

    probes: Probes = field(default_factory=lambda: Probes(bootstrap=200))


class Part(Enum):
    """A part of the images of a training."""

    train = "train"
    validation = "validation"
    test = "test"


class Embedding(Enum):
    """How the features of images are laid out on a plane."""

    tsne = "tsne"
    pca = "pca"


@dataclass
class ModelStudy:
    """Which model is studied, on which images."""

    model_uri: str | None = None
    """`models:/<name>/<version>`, `models:/<name>@<alias>` or `runs:/<run id>/serving`; `null` is
    the champion, else the newest challenger."""
    part: Part = Part.validation
    """Test images are looked at once, by the training."""
    images: int = 1000
    """Images looked at at most, the same share of every class."""
    pictures: int = 12
    """In each gallery."""
    embedding: Embedding = Embedding.tsne
    permutations: int = 10
    """Of each feature of a table, for its importance."""
    workers: int = 2


@dataclass
class ImageModelStudy(Config):
    """`recipe: image_model_study`: what a registered image classifier looks at, and how sure."""

    model: Any = MISSING
    study: ModelStudy = field(default_factory=ModelStudy)


@dataclass
class TableModelStudy(Config):
    """`recipe: table_model_study`: what a registered model of a table goes by, and how sure."""

    model: Any = MISSING
    study: ModelStudy = field(default_factory=ModelStudy)


@dataclass
class Predict:
    """What is scored, by which model, and where the answers go."""

    input: str = MISSING
    """A folder, or the file of a table."""
    output: str = MISSING
    """A Parquet file."""
    model_uri: str | None = None
    """As in `ModelStudy`."""
    batch_size: int = 8
    part_size: int = 512
    """Rows between two writes: what a killed run does again."""
    workers: int = 2


@dataclass
class TablePrediction(Config):
    """`recipe: table_prediction`: a registered model scores the rows of a CSV file."""

    model: Any = MISSING
    predict: Predict = field(default_factory=Predict)


@dataclass
class ImagePrediction(Config):
    """`recipe: image_prediction`: a registered image classifier scores a folder."""

    model: Any = MISSING
    predict: Predict = field(default_factory=Predict)


RECIPES: dict[str, type[Config]] = {
    "image_training": ImageTraining,
    "image_dataset": ImageDatasetJob,
    "image_dataset_study": ImageDatasetStudy,
    "image_model_study": ImageModelStudy,
    "image_prediction": ImagePrediction,
    "table_training": TableTraining,
    "table_dataset": TableDatasetJob,
    "table_dataset_study": TableDatasetStudy,
    "table_model_study": TableModelStudy,
    "table_prediction": TablePrediction,
}
"""What a pipeline names as its recipe."""


def cap(value: float, limit: float | None) -> float:
    """`value`, or `limit` where an environment sets a smaller one.

    In YAML: `${cap:20,${env.limits.epochs}}`.
    """
    return value if limit is None else min(value, limit)


def native_precision() -> str:
    """`bfloat16` where Linux says that the CPU multiplies them by itself, else `float32`.

    `${native_precision:}` in the configuration.
    """
    facts = Path("/proc/cpuinfo")
    known = facts.read_text().split() if facts.exists() else []
    return "float32" if {"avx512_bf16", "amx_bf16"}.isdisjoint(known) else "bfloat16"


def register() -> None:
    """Put the schema where the YAML files' `defaults` lists find it, and `cap` beside it."""
    OmegaConf.register_new_resolver("cap", cap, replace=True)
    OmegaConf.register_new_resolver("native_precision", native_precision, replace=True)
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for name, recipe in RECIPES.items():
        store.store(group="recipe", name=name, node=recipe, package="_global_")
    store.store(group="env", name="schema", node=Env)
    store.store(group="dataset", name="image_schema", node=ImageDataset)
    store.store(group="dataset", name="table_schema", node=TableDataset)
    store.store(group="model", name="image_schema", node=ImageModel)
    store.store(group="model", name="table_schema", node=TableModel)
