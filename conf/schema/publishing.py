"""The model that is served: when it abstains, its arithmetic, and what makes it champion."""

from dataclasses import dataclass
from enum import Enum


@dataclass
class Abstention:
    """When a model abstains: thresholds that the training chooses on validation images.

    Service and batch scoring answer the probabilities all the same.
    """

    enabled: bool = True
    """Whether thresholds are chosen and stored with the model."""
    refused: float = 0.05
    """Largest share of validation images that are refused as unlike the training images."""
    references: int = 1000
    """Training images that unlikeness is measured against, the same number of each class."""
    coverage: float = 0.9
    """Share of the images of each class whose prediction set has their class."""


class Precision(Enum):
    """The arithmetic of the serving model."""

    fp32 = "fp32"
    int8 = "int8"


@dataclass
class Publish:
    """The model that is exported and registered."""

    precision: Precision = Precision.fp32
    """`int8` quantizes with NNCF, if the loss of accuracy is at most `max_accuracy_loss`."""
    calibration_images: int = 300
    """Training images that calibrate the ranges of int8."""
    max_accuracy_loss: float = 0.003
    """Largest loss of validation accuracy by int8; above it float32 is registered, and logged."""
    ensemble: bool = False
    """With `split.folds`: register the networks of all folds as one graph, the mean of their
    logits. No image is left to test it: the figures of the run are those of single networks."""


@dataclass
class PromotionRule:
    """The evidence that makes a version champion, compared with the champion on the same samples.

    Both predicted the same test samples, so the interval is that of the paired difference of
    accuracy, over whole near-duplicate clusters or groups.
    """

    margin: float = 0.01
    """Largest loss of accuracy that the interval of the difference may include: its lower end must
    be at least `-margin`. 0 asks for a version that is shown to be no worse at all, and two equal
    models never show it on few samples; 0.01 accepts the loss of one sample in a hundred."""
