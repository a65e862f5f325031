"""Settings that all recipes share: environment, source of the data, jobs on models."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING, SI


class Source(Enum):
    """Where a dataset comes from."""

    sample = "sample"
    directory = "directory"
    archives = "archives"
    kaggle = "kaggle"


class Cache(Enum):
    """Whether to store the activations of frozen layers, or recompute them in every step."""

    none = "none"
    """Every step runs the whole network."""
    activations = "activations"
    """Activations are stored on disk; a step runs only the layers that train."""


class Arithmetic(Enum):
    """Compute dtype of the convolutions during training; weights are always float32."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    """Twice as fast on CPUs with bfloat16, slow on others; `${native_precision:}` chooses. On GPUs
    of compute capability 8.0 or higher."""
    float16 = "float16"
    """On one GPU of compute capability 7.0 or higher, with loss scaling; refused on a CPU."""


class Promotion(Enum):
    """What a run may do to the alias `champion` of its registered model."""

    refused = "refused"
    """Its version needs `FORCE`, with a reason that is stored."""
    allowed = "allowed"
    """`make promote` takes its version, if the evidence speaks for it."""
    automatic = "automatic"
    """The run does the same at its end; a version that is refused stays challenger."""


@dataclass
class About:
    """What the data of a dataset are, and what a model of them is for: the words of the model card.

    An empty field stands in the card as not stated.
    """

    source: str = ""
    """Where the data come from, and who collected them."""
    licence: str = ""
    """Name of the licence as Hugging Face writes it, such as `cc-by-4.0`; `other` for terms of
    their own, which `source` names."""
    citation: str = ""
    """What to cite."""
    intended_use: str = ""
    """What a model of these data is for, and for whom."""
    limits: list[str] = field(default_factory=list)
    """What the data do not show, one sentence each."""


@dataclass
class Limits:
    """Upper bounds that an environment sets for every pipeline; `null` is no bound."""

    epochs: int | None = None
    """Epochs of each phase."""
    steps: int | None = None
    """Steps in an epoch."""
    batch_size: int | None = None
    """Images in one training step."""
    image_size: int | None = None
    """Side of the model's input in pixels."""
    pretrained_image_size: int | None = None
    """The same of a model whose weights every environment has, and which needs their size."""
    images_per_class: int | None = None
    """Images per class and split; `source=sample` generates so many per class in total."""
    rows: int | None = None
    """Rows that the sample source of a table makes."""
    folds: int | None = None
    """Folds of the search and of the cross-validation of a table."""
    candidates: int | None = None
    """Candidates of a random search."""
    resamples: int | None = None
    """Bootstrap resamples of an interval."""


@dataclass
class Env:
    """Settings of every pipeline in one environment: `env=development` or `env=production`."""

    name: str = MISSING
    """Part of the name of every run."""
    tracking_uri: str = MISSING
    """MLflow's tracking and registry server."""
    source: Source | None = MISSING
    """Source of every dataset; `null` uses the source that each dataset names."""
    weights: str = MISSING
    """Default of `model.weights`."""
    activations: Cache = Cache.activations
    """Default of `fit.cache`."""
    promotion: Promotion = Promotion.refused
    """Whether a version that a run of this environment registers may become `champion`.

    The run stores it as its tag `promotion`, which `make promote` reads. Versions of
    `env=development` always need `FORCE`, with a reason that is stored."""
    enforce_gate: bool = MISSING
    """Default of `gate.enforce`: whether a failed leak gate stops a training, or warns."""
    cache: str = ".cache"
    """Folder of decoded images, digests, activations and checkpoints."""
    cache_limit_gb: float | None = 20.0
    """Largest size of the activations in `cache`; `null` is no limit."""
    limits: Limits = field(default_factory=Limits)


@dataclass
class Config:
    """Settings of every run; a recipe adds those of its task.

    `dataset` and `model` are checked against the type that their YAML names.
    """

    seed: int = 0
    """Seed of the initial weights, of the order of the images and of augmentation."""
    version: str = MISSING
    """Version of the pipeline: `v1` is trained by the folder `<model>-<dataset>_v1`."""
    env: Env = MISSING
    dataset: Any = MISSING


@dataclass
class Probes:
    """Probes for shortcuts, which predict the label without the finding; with intervals."""

    images: int = 5000
    """Largest number of images that are read; above it, whole clusters are left out."""
    folds: int = 5
    """Folds of the cross-validation, by cluster."""
    bootstrap: int = SI("${cap:1000,${env.limits.resamples}}")
    """Bootstrap resamples of near-duplicate clusters."""
    confidence: float = 0.95
    """Level of the intervals."""


class Part(Enum):
    """A part of the images of a training."""

    train = "train"
    validation = "validation"
    test = "test"


class Embedding(Enum):
    """Projection of the features of images to a plane."""

    tsne = "tsne"
    pca = "pca"


@dataclass
class ModelStudy:
    """The model of a study, and its images."""

    model_uri: str | None = None
    """`models:/<name>/<version>`, `models:/<name>@<alias>` or `runs:/<run id>/serving`; `null` is
    the champion, else the newest challenger."""
    part: Part = Part.validation
    """The split to study; the training evaluates the test images once."""
    images: int = 1000
    """Largest number of images that are read, the same share of every class."""
    pictures: int = 12
    """Pictures in each gallery."""
    unlike: list[str] = field(default_factory=list)
    """Folders with images of other kinds than those of the training: does the model refuse them?"""
    curve: int = 4000
    """Largest number of training images of the learning curve, which says whether more of them
    would help; 0 draws none."""
    embedding: Embedding = Embedding.tsne
    permutations: int = 10
    """Permutations of each feature of a table, for its importance."""
    workers: int = 2
    """Threads that read images."""


@dataclass
class Predict:
    """Batch scoring: the input, the model and the output."""

    input: str = MISSING
    """Folder of images, or CSV file of a table."""
    output: str = MISSING
    """Parquet file of the predictions."""
    model_uri: str | None = None
    """As `study.model_uri`."""
    batch_size: int = 8
    """Images or rows in one batch of the model."""
    part_size: int = 512
    """Rows between two writes; a killed run loses at most so many."""
    workers: int = 2
    """Threads that read images."""
