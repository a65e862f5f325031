"""Activations of the frozen part of a network, computed once and kept on disk.

The layers up to the freeze boundary never change, so the activations of an image are the same in
every epoch, run and sweep. Only augmentation changes the image: each image gets a few views, which
are drawn once.

```mermaid
flowchart LR
    pixels["pixels uint8 (N, S, S, 3)"] --> view["view k: one affine warp"]
    view --> prefix["frozen part<br/>OpenVINO or GPU"]
    prefix --> store[("activations<br/>float16 (N, h, w, C)")]
    store --> tail["tail, trained by Keras"]
    store --> still["tail as it starts<br/>OpenVINO or GPU"]
    still --> pooled[("pooled features<br/>float16 (N, C)")]
    pooled --> head["head, warmed up by Keras"]
```

The files (`row_store`) are in `<cache>/activations/<key>/`, one for each view of all images. Row
i belongs to row i of the images' table. Rows are computed when they are first needed, so the folds
of a cross-validation share them. If two runs need the same rows, one computes them and the other
waits.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from conf.errors import UserError
from conf.schema import ImageTraining, plain
from datasets.common.fetching import disk
from train.common.data.types import DecodedImages
from train.common.fitting import augment
from train.common.fitting.devices import used
from train.common.fitting.engines import Compute, engine
from train.common.fitting.row_store import Rows

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

Advance = Callable[[int], None]

BATCH = 8
"""Batch size of the frozen part on a CPU; a larger one is not faster."""
FORMAT = 1
"""Version of the files; a new number makes the program ignore older files."""
SAME = 2e-2
"""Largest accepted difference of recomputed activations, relative to their largest value. float16
and another number of threads give far smaller differences, another network far larger ones."""


@dataclass
class Tally:
    """Activations at the freeze boundary, each of an image in a view, counted once a training."""

    computed: int = 0
    """Those that a training computed."""
    reused: int = 0
    """Those that an earlier training had stored."""


TALLY = Tally()
"""The counts of this process, whose trainings share what they store."""


def weights_of(model: "keras.Model") -> str:
    """Hex sha256 of the values of `model`'s weights, in the order of its layers."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(weight.numpy().tobytes())
    return digest.hexdigest()


class FeatureCache:
    """The activations of all `images` at the freeze boundary, and the pooled features behind it.

    `prefix` ends at the boundary. `still` leads from there to the pooled features, with the initial
    weights. View `None` is the image without augmentation. Views of another `scope` are not shared.
    """

    def __init__(
        self,
        prefix: "keras.Model",
        still: "keras.Model",
        images: DecodedImages,
        settings: ImageTraining,
        scope: str = "",
    ) -> None:
        self.prefix, self.still, self.images, self.settings = prefix, still, images, settings
        self.devices = used(settings.fit)
        self.batch = self.devices.batch(BATCH)
        start = weights_of(prefix)
        key = {
            "format": FORMAT,
            "data": [images.digest, images.pixels.name],
            "model": [settings.model.name, settings.model.freeze, settings.model.image_size],
            "weights": start,
            "precision": settings.fit.precision.name,
        }
        self.home = Path(settings.env.cache) / "activations"
        self.folder = self.home / _short(key)
        self._views = _short([plain(settings.fit.augment), settings.seed, scope])
        self._still = _short([start, weights_of(still)])
        self._engines: dict[str, Compute] = {}
        self._stores: dict[Path, Rows] = {}
        self._checked: set[Path] = set()
        self._counted: dict[Path, np.ndarray] = {}

    @property
    def augmented(self) -> bool:
        """Whether augmentation is on, so that views differ from the images."""
        views = plain(self.settings.fit.augment)
        return any(value for name, value in views.items() if name != "fill_value")

    def at_boundary(self, view: int | None, rows: np.ndarray, advance: Advance) -> Rows:
        """Activations float16 (N, h, w, C), complete for `rows`; `advance` counts images."""
        shape = self.prefix.output.shape[1:]
        store = self._store(f"{self._name(view)}.npy", shape)
        filled = self._fill(
            store,
            rows,
            lambda missing: self._through(
                self._engine("prefix", self.prefix), self._images(view, missing), advance
            ),
        )
        self._count(store, rows, filled)
        if not self._checked or filled < len(rows):
            self._check(store, view, rows[:1])
        self._checked.add(store.path)
        return store

    def pooled(self, view: int | None, rows: np.ndarray, advance: Advance) -> Rows:
        """Pooled features float16 (N, C) of the untrained tail, complete for `rows`."""
        activations = self.at_boundary(view, rows, advance)
        shape = self.still.output.shape[1:]
        store = self._store(f"{self._name(view)}-pooled-{self._still}.npy", shape)

        def answers(missing: np.ndarray) -> Iterator[np.ndarray]:
            parts = (activations.read(part).astype(np.float32) for part in self._parts(missing))
            return self._through(self._engine("still", self.still), parts, advance)

        self._fill(store, rows, answers)
        return store

    def _fill(
        self, store: Rows, rows: np.ndarray, answers: Callable[[np.ndarray], Iterator[np.ndarray]]
    ) -> int:
        """Compute the missing rows with `answers` and store them; returns their number."""
        if not len(store.missing(rows)):
            return 0
        with store.alone():
            missing = store.missing(rows)
            if len(missing):
                self._reserve(len(missing) * store.row_bytes)
                store.fill(missing, answers(missing))
        return len(missing)

    def _count(self, store: Rows, rows: np.ndarray, filled: int) -> None:
        """Count those of `rows` that this training needs for the first time; `filled` are new."""
        seen = self._counted.setdefault(store.path, np.zeros(len(store.done), bool))
        TALLY.computed += filled
        TALLY.reused += int((~seen[rows]).sum()) - filled
        seen[rows] = True

    def forget(self, view: int) -> None:
        """Remove the files of `view`."""
        for path in self.folder.glob(f"{self._name(view)}*"):
            path.unlink()
            self._stores.pop(path, None)

    def _check(self, store: Rows, view: int | None, row: np.ndarray) -> None:
        """Compare one stored row with the output of Keras, for the first file and for older ones.

        Raises `UserError` if they differ: the model's graph was changed, or the engine is wrong.
        """
        if store.path in self._checked:
            return
        theirs = store.read(row).astype(np.float32)
        ours = np.asarray(self.prefix(next(self._images(view, row)), training=False))
        difference = np.abs(theirs - ours).max() / max(np.abs(ours).max(), 1e-6)
        if not difference <= SAME:
            raise UserError(
                f"{store.path} differs from what {self.prefix.name} computes now by "
                f"{difference:.2g} of its range: make clean-cache removes what is stored, and "
                f"fit.precision=float32 (now {self.settings.fit.precision.name}) is the most exact"
            )

    def _name(self, view: int | None) -> str:
        return "images" if view is None else f"{self._views}-view{view:03d}"

    def _store(self, name: str, shape: tuple[int, ...]) -> Rows:
        path = self.folder / name
        if path not in self._stores:
            self._stores[path] = Rows(path, len(self.images.frame), shape)
        return self._stores[path]

    def _engine(self, name: str, model: "keras.Model") -> Compute:
        if name not in self._engines:
            precision = self.settings.fit.precision.name
            self._engines[name] = engine(model, precision, self.devices)
        return self._engines[name]

    def _images(self, view: int | None, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Batches uint8 (B, S, S, 3) of `view` of `rows`."""
        count, size = self.images.load().shape[:2]
        settings = self.settings.fit.augment
        rng = np.random.default_rng([self.settings.seed, view or 0])
        views = augment.random_views(rng, count, size, settings)
        for part in self._parts(rows):
            pixels = self.images.read(part)
            if view is not None:
                pixels = augment.view(pixels, views[part], settings).numpy()
            yield pixels

    def _through(
        self, compute: Compute, batches: Iterator[np.ndarray], advance: Advance
    ) -> Iterator[np.ndarray]:
        for batch in batches:
            with np.errstate(over="ignore"):
                values = compute(batch).astype(np.float16)
            if not np.isfinite(values).all():
                raise UserError(
                    f"activations at model.freeze={self.settings.model.freeze} exceed the range of "
                    "float16: train without them, fit.cache=none"
                )
            yield values
            advance(len(batch))

    def _reserve(self, size: int) -> None:
        """Raise `UserError` if `size` more bytes exceed the budget or the disk."""
        budget = self.settings.env.cache_limit_gb
        used = sum(file.stat().st_blocks * 512 for file in self.home.rglob("*") if file.is_file())
        if budget is not None and used + size > budget * 1e9:
            raise UserError(
                f"{self.home} holds {used / 1e9:.2f} GB of activations, and {size / 1e9:.2f} GB on "
                f"top exceed env.cache_limit_gb={budget}: make clean-cache removes what is stored; "
                "or raise the limit, lower fit.views, or train without, fit.cache=none"
            )
        disk.need(self.folder, size)

    def _parts(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        return (rows[start : start + self.batch] for start in range(0, len(rows), self.batch))


def _short(facts: Any) -> str:
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
