"""Recipes of images: dataset, model, training and jobs."""

from dataclasses import dataclass, field
from enum import Enum

from omegaconf import II, MISSING, SI

from conf.schema.base import About, Config, ModelStudy, Predict, Probes, Source
from conf.schema.fitting import Fit
from conf.schema.publishing import Abstention, PromotionRule, Publish
from conf.schema.sweep import Sweep


@dataclass
class Archive:
    """One archive: a local path, an http(s) URL or a Google Drive link, and its sha256."""

    uri: str | None = None
    """Required with `source=archives`."""
    sha256: str | None = None
    """Required for a URL or a Google Drive link."""


@dataclass
class Dicom:
    """DICOM window centre and width, in rescaled units (Hounsfield units for CT).

    Give both or none. Without them, the first window of each file is used; a file without a window
    uses the full range of its stored bits. Colour images have no window. The window is stored
    with the model, and the service, the command line and batch scoring take it from there.
    """

    centre: float | None = None
    """DICOM window centre in rescaled units (CT: Hounsfield units); `null` uses the file's own."""
    width: float | None = None
    """DICOM window width, over 1; set both or none."""


class Series(Enum):
    """How the series of slices are found that neither manifest nor DICOM files name."""

    none = "none"
    """They are not: near-duplicates alone stay together."""
    adjacent = "adjacent"
    """From the numbers in the file names: neighbours that are alike are one series."""


@dataclass
class ImageDataset:
    """A classification set of images, one folder per class."""

    name: str = MISSING
    """Name of the folder `datasets/<name>`."""
    classes: list[str] = MISSING
    """Folder names, in the order of the model's outputs; other folders are left out and logged."""
    source: Source = MISSING
    path: str | None = None
    """Folder of `source=directory`; other sources store unpacked files and downloads in it."""
    archives: dict[str, Archive] = field(default_factory=dict)
    """One archive for each split (`train`, `validation`, `test`), or `all` for the whole set."""
    kaggle: str | None = None
    """Handle `<owner>/<dataset>` of `source=kaggle`."""
    expected: dict[str, int] | None = None
    """Number of files in archives or kaggle: by split, by class, or `all`; `null` takes any."""
    dicom: Dicom = field(default_factory=Dicom)
    min_side: int = 32
    """Smallest accepted side of an image in pixels."""
    max_pixels: int = 50_000_000
    """Largest accepted width times height."""
    max_bad_share: float = 0.01
    """Share of unreadable images above which the run stops."""
    series: Series = Series.none
    """Groups for images of which nothing names the series; `split.by=cluster` keeps them together.
    """
    hash_distance: int = 4
    """Largest Hamming distance, in bits of a 64-bit perceptual hash, of near-duplicates."""
    about: About = field(default_factory=About)
    titles: dict[str, str] = field(default_factory=dict)
    """Names of classes in reports, if the names of the folders are hard to read."""
    sample_images: int = 120
    """Images per class that `source=sample` generates."""
    limit: int | None = None
    """Largest number of images per class and split, drawn at random."""
    seed: int = 0
    """Seed of the generated sample and of the choice under `limit`."""


@dataclass
class ImageModel:
    """A fine-tuned image classifier."""

    name: str = MISSING
    """Name of the folder `models/<name>`."""
    weights: str = MISSING
    """Weights of the backbone: `imagenet`, `none` or the path of a `.weights.h5`.

    Or weights of the whole network, from the Keras model of a run: `models:/<name>/<version>`,
    `models:/<name>@<alias>` (pinned to its version when the run starts) or `runs:/<run id>/keras`.
    It must be a model of the same name and layers. All weights carry over, also to another
    `image_size`; if the classes are others, the head is new. The tag `started_from` names the
    model, and the report counts the test images that it has seen."""
    variant: str | None = None
    """Variant of the backbone, if `models/<name>` has several."""
    image_size: int = 224
    """Side of the input in pixels."""
    hidden: int = 32
    """Units of the dense layer of the head."""
    dropout: float = 0.2
    """Share of these units that is dropped in training."""
    freeze: str = MISSING
    """Layer whose output is the freeze boundary; this layer and all before it never train."""
    unlike: list[str] = field(default_factory=list)
    """Frozen layers whose features, with those of `freeze`, say how unlike training an image is."""


@dataclass
class Transform:
    """Decoding and resizing, done once and kept on disk."""

    image_size: int = MISSING
    """Side of the stored pixels, equal to that of the model's input."""
    workers: int = 2
    """Threads that read images."""
    hide_border: float = 0.0
    """Width of the border that is made black, at each side, as a fraction of the side.

    With `hide_inset` it neutralises what gives the class away: training, the probes of the leak
    gate and the served model see none of it. The border stays in the image, so positions stay."""
    hide_inset: list[float] | None = None
    """A rectangle that is made black, `[left, top, right, bottom]` in fractions of the image."""


class SplitBy(Enum):
    """How train, validation and test are made."""

    official = "official"
    """The splits of the dataset itself."""
    cluster = "cluster"
    """New splits; near-duplicates and the groups of a manifest stay together."""
    source = "source"
    """Each fold tests one source of the manifest, and trains on the others: `folds` is the number
    of sources, and each class needs two of them."""
    random = "random"
    """New splits by class alone: near-duplicates cross them, and the report warns."""


@dataclass
class Split:
    """How the samples become train, validation and test."""

    by: SplitBy = SplitBy.official
    validation: float = 0.15
    """Share of the images, unless `by=official`."""
    test: float = 0.15
    """Share of the images, unless `by=official`; with `folds`, one fold is test."""
    folds: int | None = None
    """Number of folds of a cross-validation: each image is in test once; `null` makes one split."""
    fold: int | None = None
    """The only fold to train, from 0; `null` trains all folds and pools their predictions."""
    allow_crossing: bool = False
    """Whether near-duplicates that cross the official splits are accepted: the run goes on, the
    report warns, and `gate` is `failed` all the same."""
    seed: int = 0
    """Seed of the drawn splits."""


@dataclass
class Gate:
    """The leak gate: what is checked on the splits before the training starts.

    A failed check stops a run with `enforce`, and is a warning in others. Each run has the tag
    `gate`: `passed`, `failed` or `off`; `make promote` takes `passed` alone. The two probes report
    and never fail by default: in many sets the properties of files differ by class (endoscopes and
    hospitals differ), and which excess is acceptable depends on the set.
    """

    enabled: bool = True
    """Whether the checks run; without them the tag `gate` is `off`."""
    enforce: bool = II("env.enforce_gate")
    """Whether a failed check stops the run."""
    crossing: int = 0
    """Largest accepted number of near-duplicate clusters with images in more than one split, and of
    images and groups (series, patients). With `split.by=random` or `split.allow_crossing=true` more
    of them never stop a run."""
    contradictions: int | None = 0
    """Largest accepted number of near-duplicate pairs with different labels; `null` reports them.

    Pairs of one cluster whose thumbnails correlate at 0.99 or more. Neighbouring slices of a series
    that changes its label in between can be such pairs."""
    metadata: float | None = None
    """Largest accepted excess over chance of what metadata alone predict; `null` reports it.

    The mean recall of a forest on file size, sides, JPEG quality, border and corners, fitted on
    training images and judged on validation images: the lower end of its interval counts."""
    masked: float | None = None
    """The same for images whose centre is masked; `null` reports it."""
    images: int = 1000
    """Largest number of training images, and of validation images, that the probes read."""


@dataclass
class Metrics:
    """The evaluation on test and its intervals."""

    bootstrap: int = SI("${cap:1000,${env.limits.resamples}}")
    """Bootstrap resamples of near-duplicate clusters."""
    confidence: float = 0.95
    """Level of the intervals."""
    worst: int = 24
    """Wrong predictions shown in the picture grid."""
    grad_cam: int = 6
    """Wrong predictions shown with Grad-CAM, and as many right ones; 0 shows none."""
    sensitivity: float = 0.95
    """Sensitivity of the operating point of each class, reached on validation."""


@dataclass
class ImageTraining(Config):
    """`recipe: image_training`: train an image classifier."""

    dataset: ImageDataset = MISSING
    model: ImageModel = MISSING
    transform: Transform = field(default_factory=Transform)
    split: Split = field(default_factory=Split)
    gate: Gate = field(default_factory=Gate)
    fit: Fit = field(default_factory=Fit)
    metrics: Metrics = field(default_factory=Metrics)
    abstention: Abstention = field(default_factory=Abstention)
    publish: Publish = field(default_factory=Publish)
    promotion: PromotionRule = field(default_factory=PromotionRule)
    sweep: Sweep | None = None
    """Drawn settings are trained first, and then the best of them; `null` trains these."""


@dataclass
class ImageDatasetJob(Config):
    """`recipe: image_dataset`: build, verify and report a set of images."""

    dataset: ImageDataset = MISSING
    transform: Transform = field(default_factory=lambda: Transform(image_size=96))
    """Size of the pictures in the report."""
    sheet: int = 24
    """Images of each class on its contact sheet."""


@dataclass
class ImageDatasetStudy(ImageDatasetJob):
    """`recipe: image_dataset_study`: search a set of images for shortcuts."""

    probes: Probes = field(default_factory=Probes)


@dataclass
class ImageModelStudy(Config):
    """`recipe: image_model_study`: Grad-CAM and calibration of a registered image classifier."""

    dataset: ImageDataset = MISSING
    model: ImageModel = MISSING
    study: ModelStudy = field(default_factory=ModelStudy)
    metrics: Metrics = field(default_factory=Metrics)


@dataclass
class Compare:
    """The runs that are compared, and the pictures of the report."""

    runs: list[str] = field(default_factory=list)
    """Ids of two or more finished runs of trainings, the reference first."""
    pictures: int = 24
    """Images in the gallery of disagreements."""
    image_size: int = 96
    """Side of these pictures in pixels."""


@dataclass
class ImageComparison(Config):
    """`recipe: image_comparison`: runs side by side on the same test images."""

    dataset: ImageDataset = MISSING
    compare: Compare = field(default_factory=Compare)
    metrics: Metrics = field(default_factory=Metrics)


@dataclass
class ImagePrediction(Config):
    """`recipe: image_prediction`: score a folder with a registered image classifier."""

    dataset: ImageDataset = MISSING
    model: ImageModel = MISSING
    predict: Predict = field(default_factory=Predict)
