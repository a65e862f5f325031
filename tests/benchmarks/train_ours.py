"""This repository, with or without stored activations; started by `training.py`."""

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from conf.schema import Cache
from datasets.kvasir4.dataset import build as build_images
from models.common import freeze, split_at
from tests.benchmarks.turns import GIVEN, chosen, say, settings, time_steps
from train.common.data.pixels import decode, gather
from train.common.data.types import Splits
from train.common.evaluation.images import answers
from train.common.fitting.augment import draw, warp
from train.common.fitting.feature_cache import openvino
from train.common.fitting.precision import computing_in
from train.common.fitting.trainer import fine_tune


def train(config: DictConfig) -> None:
    """Train as this repository does, with or without stored activations."""
    samples = gather(build_images, config)
    say("ready")
    started = time.perf_counter()
    samples = decode(samples, config)
    splits = chosen(samples, config)
    say("read", seconds=time.perf_counter() - started)
    build = importlib.import_module(f"models.{config.model.name}.model").build
    clock = [time.perf_counter()]

    def on_epoch(_epoch: int, values: dict[str, Any]) -> None:
        say("epoch", **values | {"seconds": time.perf_counter() - clock[0]})
        clock[0] = time.perf_counter()

    fitted = fine_tune(splits, config, build, on_epoch, lambda _run: None, "benchmark")
    np.save(GIVEN["answers"], answers(fitted, splits))
    say("test", rows=splits.test.tolist())
    whole = config.fit.cache == Cache.none
    trained = fitted.model if whole else split_at(fitted.model, config.model.freeze)[1]
    with computing_in(config.fit.precision.name, trained):
        kinds = dict(kinds_of_steps(fitted.model, trained, splits, config))
        time_steps(kinds, config.fit.batch_size)


def kinds_of_steps(
    model: Any, trained: Any, splits: Splits, config: DictConfig
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What an epoch is made of, as functions of one batch each; `trained` is what a step trains."""
    import tensorflow as tf

    size, settings = config.model.image_size, config.fit.augment
    rows = splits.train[: config.fit.batch_size]
    pixels = splits.samples.load()[rows]
    labels = tf.one_hot(splits.labels(rows), len(splits.samples.classes))
    views = draw(np.random.default_rng(0), len(rows), size, settings)
    yield "augmentation", lambda: warp(pixels, views, settings.fill_value).numpy()
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
