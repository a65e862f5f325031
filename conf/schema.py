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
```
"""

from dataclasses import dataclass, field
from enum import Enum
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
    """Folder of decoded images, digests and checkpoints."""
    limits: Limits = field(default_factory=Limits)


@dataclass
class Archive:
    """One archive: a local path, an http(s) URL or a Google Drive link, and its sha256."""

    uri: str | None = None
    """Required with `source=archives`."""
    sha256: str | None = None
    """Required for a URL or a Google Drive link."""


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
    """By split: `train`, `validation`, `test`."""
    kaggle: str | None = None
    """Handle `<owner>/<dataset>` of `source=kaggle`."""
    expected: dict[str, int] | None = None
    """Images by split that archives and kaggle must hold; `null` accepts any number."""
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
    """Share of the images, `by=cluster` only."""
    test: float = 0.15
    """Share of the images, `by=cluster` only."""
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


@dataclass
class Fit:
    """Two phases: the head alone, then everything behind the freeze boundary."""

    warmup: Phase = field(default_factory=Phase)
    finetune: Phase = field(default_factory=Phase)
    batch_size: int = 32
    augment: Augment = field(default_factory=Augment)
    class_weights: ClassWeights = ClassWeights.none
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


def cap(value: float, limit: float | None) -> float:
    """`value`, or `limit` where an environment sets a smaller one.

    In YAML: `${cap:20,${env.limits.epochs}}`.
    """
    return value if limit is None else min(value, limit)


def register() -> None:
    """Put the schema where the YAML files' `defaults` lists find it, and `cap` beside it."""
    OmegaConf.register_new_resolver("cap", cap, replace=True)
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    store.store(group="recipe", name="image_training", node=ImageTraining, package="_global_")
    store.store(group="env", name="schema", node=Env)
    store.store(group="dataset", name="image_schema", node=ImageDataset)
    store.store(group="model", name="image_schema", node=ImageModel)
