"""The start of a training: a network with weights for its backbone, or a registered model.

```mermaid
flowchart LR
    uri["model.weights=models:/name/3"] --> run["its run"] --> theirs["that run's model keras"]
    theirs -->|"layer by layer, up to pool"| ours["the network of this training"]
    theirs -->|"the head, where the classes are the same"| ours
```
"""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from conf.errors import UserError
from conf.schema import ImageModel, ImageTraining
from models.common import weights_digest
from models.cover import COVER, covered
from train.common.data.types import DecodedImages, Splits
from train.common.fitting.devices import used
from train.common.fitting.feature_cache import weights_of
from train.common.tracking.load import Registered, fetch_keras, fetch_table
from train.common.tracking.log import Run
from train.common.tracking.origin import names_a_model, origin

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

Build = Callable[[ImageModel, int], "keras.Model"]

UNNAMED = {"name", "dtype", "trainable"}
"""Settings of a layer that do not decide what it computes, or that the training changes."""


@dataclass(frozen=True)
class Start:
    """A network before its first step."""

    model: "keras.Model"
    digest: str
    """Hex sha256 of the loaded weights; `imagenet` or `none` if they are not from a file."""
    notes: list[str] = field(default_factory=list)
    """Warnings for the report."""


def initial_model(
    build: Build, splits: Splits[DecodedImages], settings: ImageTraining, run: Run
) -> Start:
    """The network that `build` makes, with the weights that `model.weights` names.

    Its first layer hides what `transform` hides.
    `seed` decides random weights. All weights of a registered model carry over, also to images of
    another size. If its classes are others, the head is new, and the log warns of it. Raises
    `UserError` for a model of another network.
    """
    import keras

    devices = used(settings.fit)
    log.info("device: %s", devices)
    run.log_device(str(devices))
    keras.utils.set_random_seed(settings.seed)
    classes, named = splits.data.classes, settings.model.weights
    if not names_a_model(named):
        with devices.scope():
            model = covered(build(settings.model, len(classes)), settings.transform)
        return Start(model, weights_digest(named))
    known = origin(named)
    theirs = fetch_keras(known)
    with devices.scope():
        model = build(replace(settings.model, weights="none"), len(classes))
        model = covered(model, settings.transform)
    _carry_over(theirs, model, known, list(classes))
    digest = weights_of(theirs)
    seen = _seen_before(known, splits)
    run.log_origin(known, digest, seen)
    return Start(model, digest, _notes(known, seen, len(splits.test)))


def structure(model: "keras.Model") -> str:
    """Hex sha256 of the layers of `model`: their types, settings and shapes of weights."""
    layers = [
        [
            type(layer).__name__,
            {name: value for name, value in layer.get_config().items() if name not in UNNAMED},
            _shapes(layer),
        ]
        for layer in model.layers
    ]
    return hashlib.sha256(json.dumps(layers, sort_keys=True, default=str).encode()).hexdigest()


def _shapes(layer: Any) -> list[list[int]]:
    return [list(weight.shape) for weight in layer.weights]


def _carry_over(
    theirs: "keras.Model", ours: "keras.Model", known: Registered, classes: list[str]
) -> None:
    """Copy the weights of `theirs` to `ours`, with or without the head."""
    uri, size = known.uri, theirs.input.shape[1]
    if theirs.name != ours.name:
        raise UserError(
            f"model.weights={uri} is a {theirs.name}, and this pipeline trains a {ours.name}: name "
            f"a version of a {ours.name}, or give the backbone alone as a .weights.h5 file"
        )
    same = known.metadata["classes"] == classes
    pairs = list(zip(_layers(theirs, head=same), _layers(ours, head=same), strict=False))
    for old, new in pairs:
        if type(old) is not type(new) or _shapes(old) != _shapes(new):
            raise UserError(
                f"model.weights={uri} has the layer {old.name} with weights {_shapes(old)}, and "
                f"here {new.name} has {_shapes(new)}: train with the settings of its run "
                f"{known.run_id} (model.hidden, for one), or from other weights"
            )
    counts = [len(_layers(each, head=True)) for each in (theirs, ours)]
    if counts[0] != counts[1]:
        raise UserError(
            f"model.weights={uri} has {counts[0]} layers, and {ours.name} has "
            f"{counts[1]} in this revision: use that of its run {known.run_id}, or train "
            "from other weights"
        )
    for old, new in pairs:
        new.set_weights(old.get_weights())
    if size != ours.input.shape[1]:
        log.warning(
            "%s was trained at %d pixels, and this training uses %d (model.image_size)",
            uri, size, ours.input.shape[1],
        )  # fmt: skip
    if same:
        log.info("loaded the weights of %s, run %s, with the head", uri, known.run_id)
    else:
        log.warning(
            "loaded the weights of %s, run %s, without the head, which is new: that model has the "
            "classes %s", uri, known.run_id, ", ".join(known.metadata["classes"]),
        )  # fmt: skip


def _layers(model: "keras.Model", head: bool) -> list[Any]:
    """All layers of `model`, or those up to and with `pool`; without the one that hides pixels."""
    layers = [layer for layer in model.layers if layer.name != COVER]
    names = [layer.name for layer in layers]
    return layers if head else layers[: names.index("pool") + 1]


def _seen_before(known: Registered, splits: Splits[DecodedImages]) -> int:
    """Number of test images of `splits` that `known` used for training or validation."""
    table = fetch_table(known, "data/splits.csv")
    seen = set(table.loc[table["split"] != "test", "sha256"])
    return int(splits.data.frame["sha256"].iloc[splits.test].isin(seen).sum())


def _notes(known: Registered, seen: int, count: int) -> list[str]:
    notes = [f"The training started from {known.uri}, run {known.run_id}."]
    if seen:
        notes.append(
            f"{seen} of the {count} test images were training or validation images of that model: "
            "the figures are optimistic. Start from a model with the same splits, or from none."
        )
        log.warning(notes[-1])
    return notes
