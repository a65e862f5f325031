"""What recipes of every kind share: the environment, the data's source, jobs on models."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING, SI


class Source(Enum):
    """Where a dataset comes from; a table knows `sample` and `directory`."""

    sample = "sample"
    directory = "directory"
    archives = "archives"
    kaggle = "kaggle"


class Cache(Enum):
    """What is kept of the layers that never train."""

    none = "none"
    """Nothing: every step runs the whole network."""
    activations = "activations"
    """Their answers, on disk: every step runs the layers that train."""


@dataclass
class Limits:
    """Upper bounds an environment sets on every pipeline; `null` is no bound."""

    epochs: int | None = None
    """Epochs of each phase."""
    steps: int | None = None
    """Batches of an epoch."""
    batch_size: int | None = None
    image_size: int | None = None
    """Side of the model's input in pixels."""
    images_per_class: int | None = None
    """Images per class and split; the sample source makes this many per class in all."""
    candidates: int | None = None
    """Settings that a search of hyper-parameters tries."""
    resamples: int | None = None
    """Bootstrap resamples of an interval."""


@dataclass
class Env:
    """What governs every pipeline of a run: `env=development` or `env=production`."""

    name: str = MISSING
    tracking_uri: str = MISSING
    """MLflow's tracking and registry server."""
    source: Source | None = MISSING
    """Where every dataset comes from; `null` leaves it to each dataset, which names its own."""
    weights: str = MISSING
    """What `model.weights` is unless a command says otherwise."""
    activations: Cache = Cache.activations
    """Whether the answers of frozen layers are stored, unless `fit.cache` says otherwise."""
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
    version: str = MISSING
    env: Env = MISSING
    dataset: Any = MISSING


@dataclass
class Probes:
    """What tells labels from what is no finding, and how sure that is."""

    images: int = 5000
    """Images looked at at most; whole clusters are left out."""
    folds: int = 5
    bootstrap: int = SI("${cap:1000,${env.limits.resamples}}")
    """Resamples, of near-duplicate clusters."""
    confidence: float = 0.95


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
