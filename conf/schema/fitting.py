"""Settings of the fitting of an image classifier: augmentation, phases, learning rates."""

from dataclasses import dataclass, field
from enum import Enum

from omegaconf import II, MISSING

from conf.schema.base import Arithmetic, Cache


@dataclass
class Augment:
    """Random views: geometry in the units of Keras' ImageDataGenerator, then colour."""

    rotation: float = 0.0
    """Largest angle in degrees, in both directions."""
    shift: float = 0.0
    """Largest shift on each axis, as a fraction of the side."""
    shear: float = 0.0
    """Largest shear angle in degrees."""
    zoom: float = 0.0
    """Largest difference of the zoom factor from 1, on each axis."""
    horizontal_flip: bool = False
    """Mirror half of the images left to right."""
    vertical_flip: bool = False
    """Mirror half of the images top to bottom."""
    brightness: float = 0.0
    """Largest difference of the brightness factor from 1."""
    contrast: float = 0.0
    """Largest difference of the contrast factor from 1."""
    saturation: float = 0.0
    """Largest difference of the saturation factor from 1."""
    fill_value: int = 127
    """Grey level outside the image; 127 is the middle, the zero of pixels scaled to [-1, 1]."""


@dataclass
class Phase:
    """One phase of training with one learning rate."""

    epochs: int = MISSING
    """Epochs of this phase."""
    learning_rate: float = MISSING
    """Learning rate of Adam in this phase."""


class ClassWeights(Enum):
    """Whether rare classes weigh more in the loss."""

    none = "none"
    balanced = "balanced"


class Monitor(Enum):
    """The validation metric that chooses the best epoch."""

    val_loss = "val_loss"
    val_accuracy = "val_accuracy"


class Schedule(Enum):
    """The learning rate over the epochs of fine-tuning."""

    constant = "constant"
    cosine = "cosine"
    """Decreases from the rate of the phase along half a cosine, epoch by epoch."""


@dataclass
class Fit:
    """Two phases: first the head alone, then every layer after the freeze boundary."""

    warmup: Phase = field(default_factory=Phase)
    finetune: Phase = field(default_factory=Phase)
    batch_size: int = 32
    """Images in one training step, of all GPUs together."""
    steps: int | None = II("env.limits.steps")
    """Largest number of steps in an epoch; `null` uses every training image once."""
    augment: Augment = field(default_factory=Augment)
    class_weights: ClassWeights = ClassWeights.none
    schedule: Schedule = Schedule.constant
    precision: Arithmetic = Arithmetic.float32
    """Dtype of training and of stored activations; evaluation is in float32."""
    cache: Cache = field(default=II("env.activations"))
    views: int | None = 4
    """Views (augmented versions) of each training image that are stored with
    `cache=activations`; epochs use them in turn. `null` draws new views in every epoch, as
    `cache=none` does."""
    monitor: Monitor = Monitor.val_loss
    patience: int | None = None
    """Fine-tuning stops after so many epochs without a better `monitor`; `null` never stops it."""
    resume: bool = True
    """Continue after the last finished epoch of a killed run with the same settings and data."""
