"""This repository, with or without stored activations; started by `training.py`."""

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from conf.schema import Cache
from datasets.kvasir4.dataset import build as build_images
from models.common import freeze, split_at
from tests.benchmarks.turns import GIVEN, chosen, say, settings, time_steps
from tests.two_phases import fine_tune
from train.common.data.pixels import decode
from train.common.data.types import Splits
from train.common.fitting.augment import random_views, view
from train.common.fitting.engines import openvino
from train.common.fitting.inputs import predict
from train.common.fitting.precision import computing_in


def train(config: Any) -> None:
    """Train as this repository does, with or without stored activations."""
    cache = Path(config.env.cache)
    images = build_images(config.dataset, cache)
    say("ready")
    started = time.perf_counter()
    splits = chosen(decode(images, config.dataset, config.transform, cache), config)
    say("read", seconds=time.perf_counter() - started)
    build = importlib.import_module(f"models.{config.model.name}.model").build
    fitted = fine_tune(splits, config, build, Heard())
    np.save(GIVEN["answers"], predict(fitted, splits, splits.test).probabilities)
    say("test", rows=splits.test.tolist())
    whole = config.fit.cache == Cache.none
    trained = fitted.model if whole else split_at(fitted.model, config.model.freeze)[1]
    with computing_in(config.fit.precision.name, trained):
        kinds = dict(kinds_of_steps(fitted.model, trained, splits, config))
        time_steps(kinds, config.fit.batch_size)


class Heard:
    """Says what each epoch took."""

    id = "benchmark"

    def __init__(self) -> None:
        self.clock = time.perf_counter()

    def log_epoch(self, _epoch: int, values: dict[str, Any]) -> None:
        """Report an epoch, and wait for one's turn."""
        say("epoch", **values | {"seconds": time.perf_counter() - self.clock})
        self.clock = time.perf_counter()

    def log_resumed(self, _earlier: str) -> None:
        """Nothing is resumed here."""


def kinds_of_steps(
    model: Any, trained: Any, splits: Splits[Any], config: Any
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What an epoch is made of, as functions of one batch each; `trained` is what a step trains."""
    import tensorflow as tf

    size, settings = config.model.image_size, config.fit.augment
    rows = splits.train[: config.fit.batch_size]
    pixels = splits.data.load()[rows]
    labels = tf.one_hot(splits.labels(rows), len(splits.data.classes))
    views = random_views(np.random.default_rng(0), len(rows), size, settings)
    yield "augmentation", lambda: view(pixels, views, settings).numpy()
    freeze(model, config.model.freeze)
    given = tf.constant(pixels)
    if trained is not model:
        prefix, _ = split_at(model, config.model.freeze)
        compute, images = openvino(prefix, config.fit.precision.name), tf.constant(pixels)
        yield "frozen layers, OpenVINO", lambda: compute(pixels)
        answer = tf.function(lambda batch: prefix(batch, training=False), autograph=False)
        yield "frozen layers, TensorFlow", lambda: answer(images).numpy()
        given = tf.constant(compute(pixels))
    trained.compile("adam", loss="categorical_crossentropy", metrics=["accuracy"])
    yield "training step", lambda: trained.train_on_batch(given, labels)
    yield "validation", lambda: trained.test_on_batch(given, labels)


if __name__ == "__main__":
    train(settings())
    print(json.dumps({"stage": "end"}), flush=True)
