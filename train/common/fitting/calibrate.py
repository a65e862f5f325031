r"""After training: the temperature, when the model abstains, and what drift is measured against.

All are fitted on validation images, before the test images are predicted, so what is evaluated is
what is served.

```mermaid
flowchart LR
    train["features of training images"] --> reference
    reference --> answers["probabilities and unlikeness<br/>of validation images"]
    answers --> temperature --> thresholds --> profile
```

**Temperature** [1]: the one number \(T\) that minimises the log loss of
\(\operatorname{softmax}(z / T)\). Kernel and bias of the last dense layer are divided by \(T\),
which is the same function. So the graph has no new node, and everything that reads the head
(Grad-CAM, int8, the service) goes on as before.

**Unlike the training images**: the threshold of `models.unlikeness` is the
\(\lceil (n + 1)(1 - r) \rceil\)-th smallest value of \(n\) validation images, which refuses a share
of at most \(r\) of new images of the same kind.

**Not sure**: split conformal prediction by class [2]. Of the scores
\(s_i = 1 - p_{y_i}(x_i)\) of the \(n_c\) validation images of class \(c\), the threshold
\(q_c\) is the \(\lceil (n_c + 1)(1 - \alpha) \rceil\)-th smallest. A
class with fewer images than that has no threshold of its own and no guarantee; it uses that of all
classes together.

**Profile**: the counts of `datasets.common.images.drift`, which a service compares its predictions
with.

1. Guo et al.: *On Calibration of Modern Neural Networks*, ICML 2017.
2. Sadinle, Lei, Wasserman: *Least Ambiguous Set-Valued Classifiers With Bounded Error Levels*,
   JASA 114 (2019), and Vovk: *Conditional validity of inductive conformal predictors* (2012).
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from conf.schema import Abstention, ImageTraining
from datasets.common.images import Thresholds, profile
from models import unlikeness
from models.common import PROBABILITIES
from train.common.data.types import DecodedImages, Splits, TrainedModel
from train.common.evaluation import operating
from train.common.evaluation.calibration import logits, tempered
from train.common.evaluation.words import FEW_GROUPS, titles
from train.common.fitting import devices
from train.common.fitting.inputs import BATCH, batches, predict

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

FEW_IMAGES = 30
"""Fewer validation images than these fit no temperature."""
HOTTEST = 10.0
"""Largest temperature that is believed; the smallest is its inverse."""


def calibrate(
    trained: TrainedModel, splits: Splits[DecodedImages], settings: ImageTraining
) -> TrainedModel:
    """The model with calibrated probabilities, thresholds and profile, from validation images.

    The head of `trained.model` itself is changed.
    """
    if settings.abstention.enabled:
        trained = replace(trained, reference=reference(trained.model, splits, settings))
    found = predict(trained, splits, splits.validation)
    value, notes = temperature(found.labels, found.probabilities)
    divide_logits(trained.model, value)
    log.info("temperature %.3f, from %d validation images", value, len(found.labels))
    groups = len(np.unique(splits.groups(splits.validation)))
    if groups < FEW_GROUPS:
        notes.append(
            f"Temperature and thresholds come from only {groups} independent groups of validation "
            "images: calibration and coverage may not hold for others."
        )
    thresholds, after = None, tempered(found.probabilities, value)
    if settings.abstention.enabled:
        names = tuple(titles(settings.dataset).values())
        thresholds, more = choose(found.labels, after, found.unlikeness, names, settings.abstention)
        notes += more
    return replace(
        trained,
        temperature=value,
        thresholds=thresholds,
        profile=profile(thresholds, found.classes, after, found.unlikeness),
        operating=operating.points(found.labels, after, settings.metrics.sensitivity),
        notes=[*trained.notes, *notes],
    )


def reference(
    model: "keras.Model", splits: Splits[DecodedImages], settings: ImageTraining
) -> unlikeness.Reference:
    """The reference of unlikeness, of training images without augmentation.

    As many of each class as there are, so that a rare class is not unlike the others.
    """
    import keras

    drawn = np.random.default_rng(settings.seed).permutation(splits.train)
    labels = splits.labels(drawn)
    share = max(1, settings.abstention.references // len(splits.data.classes))
    rows = np.sort(np.concatenate([drawn[labels == k][:share] for k in np.unique(labels)]))
    layers = unlikeness.frozen_layers(model, settings.model.unlike, settings.model.freeze)
    features = keras.Model(model.input, unlikeness.pooled(model, layers))
    given = batches(splits, rows, devices.found().first().batch(BATCH), None)
    return unlikeness.fit(layers, features.predict(given, verbose=0))


def temperature(labels: np.ndarray, probabilities: np.ndarray) -> tuple[float, list[str]]:
    """The temperature of probabilities (N, classes), and why it is 1 if it could not be fitted."""
    from scipy.optimize import minimize_scalar

    if len(labels) < FEW_IMAGES:
        return 1.0, [
            f"Only {len(labels)} validation images, and a temperature needs {FEW_IMAGES}: the "
            "probabilities are not calibrated (temperature 1)."
        ]
    given = logits(probabilities)
    rows = np.arange(len(labels))

    def loss(exponent: float) -> float:
        scaled = given / math.exp(exponent)
        return float(np.mean(np.logaddexp.reduce(scaled, axis=1) - scaled[rows, labels]))

    most = math.log(HOTTEST)
    found = minimize_scalar(loss, bounds=(-most, most), method="bounded", options={"xatol": 1e-4})
    if not found.success or abs(found.x) > 0.99 * most:
        return 1.0, [
            f"No temperature from {1 / HOTTEST:g} to {HOTTEST:g} minimises the log loss on "
            "validation, as if no prediction is wrong, or all are at chance: the probabilities are "
            "not calibrated (temperature 1)."
        ]
    return math.exp(found.x), []


def divide_logits(model: "keras.Model", value: float) -> None:
    """Divide the logits of `model` by `value`, in the weights of its last layer."""
    last = model.get_layer(PROBABILITIES)
    last.set_weights([weight / value for weight in last.get_weights()])


def choose(
    labels: np.ndarray,
    probabilities: np.ndarray,
    unlike: np.ndarray | None,
    names: Sequence[str],
    settings: Abstention,
) -> tuple[Thresholds, list[str]]:
    """The thresholds of labels (N,), probabilities (N, classes) and unlikeness (N,).

    The notes say which class, of `names`, has no threshold of its own, or that there are too few
    images.
    """
    scores, notes = 1 - probabilities[np.arange(len(labels)), labels], []
    most = None
    if unlike is not None:
        most = _smallest(unlike, 1 - settings.refused)
        if most is None:
            most = float(unlike.max())
            notes.append(
                f"{len(unlike)} validation images are too few for a threshold that refuses "
                f"{settings.refused:.0%} of good images as unlike the training images: it is the "
                "largest unlikeness among them."
            )
    shared = _smallest(scores, settings.coverage)
    if shared is None:
        notes.append(
            f"{len(labels)} validation images are too few for prediction sets with a coverage of "
            f"{settings.coverage:.0%}: the model never says that it is not sure."
        )
        return Thresholds(most, None), notes
    own = [_smallest(scores[labels == k], settings.coverage) for k in range(len(names))]
    if without := [name for name, value in zip(names, own, strict=True) if value is None]:
        least = math.ceil(settings.coverage / max(1 - settings.coverage, 1e-9) - 1e-9)
        notes.append(
            f"{' and '.join(without)}: fewer than {least} validation images, so the coverage of "
            f"{settings.coverage:.0%} is not guaranteed; the threshold is that of all classes."
        )
    return Thresholds(most, tuple(shared if value is None else value for value in own)), notes


def _smallest(values: np.ndarray, level: float) -> float | None:
    r"""The \(\lceil (n + 1) \mathrm{level} \rceil\)-th smallest of n values; None if n is less."""
    rank = math.ceil((len(values) + 1) * level - 1e-9)
    return float(np.sort(values)[rank - 1]) if 1 <= rank <= len(values) else None
