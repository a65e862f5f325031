"""What recipes of every kind share: the environment, the data's source, jobs on models."""

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


@dataclass
class Limits:
    """Upper bounds an environment sets on every pipeline; `null` is no bound."""

    epochs: int | None = None
    """Epochs of each phase."""
    steps: int | None = None
    """Steps in an epoch."""
    batch_size: int | None = None
    """Images in one training step."""
    image_size: int | None = None
    """Side of the model's input in pixels."""
    images_per_class: int | None = None
    """Images per class and split; the sample source makes this many per class in all."""
    candidates: int | None = None
    """Candidates of a random search."""
    resamples: int | None = None
    """Bootstrap resamples of an interval."""


@dataclass
class Env:
    """What governs every pipeline of a run: `env=development` or `env=production`."""

    name: str = MISSING
    """Part of the name of every run."""
    tracking_uri: str = MISSING
    """MLflow's tracking and registry server."""
    source: Source | None = MISSING
    """Where every dataset comes from; `null` leaves it to each dataset, which names its own."""
    weights: str = MISSING
    """What `model.weights` is unless a command says otherwise."""
    activations: Cache = Cache.activations
    """What `fit.cache` is unless a command says otherwise."""
    promotion: bool = False
    """Whether a version that a run of this environment registers may become `champion`.

    The run keeps it as its tag `promotion`, which `make promote` reads. Whatever it says, versions
    of `env=development` become champion by force only, with a reason that is kept."""
    allow_crossing: bool = MISSING
    """Whether near-duplicates may cross official splits, unless `split.allow_crossing` decides."""
    cache: str = ".cache"
    """Folder of decoded images, digests, activations and checkpoints."""
    cache_limit_gb: float | None = 20.0
    """Largest size of the activations in `cache`; `null` is no limit."""
    limits: Limits = field(default_factory=Limits)


@dataclass
class Config:
    """What every run has; a recipe adds the parts of its task.

    `dataset` and `model` are checked against the type their YAML names.
    """

    seed: int = 0
    """Seed of the initial weights, of the order of the images and of augmentation."""
    version: str = MISSING
    """Version of the pipeline: `v1` is trained by the folder `<model>-<dataset>_v1`."""
    env: Env = MISSING
    dataset: Any = MISSING


@dataclass
class Probes:
    """Probes for shortcuts: what predicts the label without the finding, with intervals."""

    images: int = 5000
    """Largest number of images that are read; whole clusters are left out."""
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
    """Largest number of images that are read, the same share of every class."""
    pictures: int = 12
    """Pictures in each gallery."""
    embedding: Embedding = Embedding.tsne
    permutations: int = 10
    """Permutations of each feature of a table, for its importance."""
    workers: int = 2
    """Threads that read images."""


@dataclass
class Predict:
    """What is scored, by which model, and where the predictions are written."""

    input: str = MISSING
    """A folder, or the file of a table."""
    output: str = MISSING
    """A Parquet file."""
    model_uri: str | None = None
    """As `study.model_uri`."""
    batch_size: int = 8
    """Images or rows that the model answers at a time."""
    part_size: int = 512
    """Rows between two writes; a killed run repeats at most so many."""
    workers: int = 2
    """Threads that read images."""
