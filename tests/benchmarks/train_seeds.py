"""The recipe of the modft report [1], as it describes it; started by `training.py`.

Its preprocessing is that of ResNet50V2, and of MobileNetV2 as well.

All images in one float array, ImageDataGenerator, `model.fit` with the whole validation set every
epoch, TensorFlow's default flags.

1. Sandoval, Gómez Amado: *Exit Report* (in Spanish, without a date), on the library modft 0.1.0,
   https://github.com/margomeza16/mlds6_proyecto.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf  # reads its flags now, before this repository sets them

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from datasets.kvasir4.dataset import build as build_images
from models.common import freeze, split_at
from tests.benchmarks.turns import GIVEN, chosen, say, settings, time_steps


def train(config: Any) -> None:
    """Train as the modft report [1] does."""
    images = build_images(config.dataset, Path(config.env.cache))
    splits = chosen(images, config)
    size, classes = config.model.image_size, len(images.classes)
    paths = images.frame["path"].to_numpy()
    say("ready")
    started = time.perf_counter()

    def load(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pictures = [keras.utils.load_img(paths[row], target_size=(size, size)) for row in rows]
        pixels = np.stack([keras.utils.img_to_array(picture) for picture in pictures])
        labels = keras.utils.to_categorical(splits.labels(rows), classes)
        return keras.applications.resnet_v2.preprocess_input(pixels), labels

    train, validation, test = (load(r) for r in (splits.train, splits.validation, splits.test))
    say("read", seconds=time.perf_counter() - started)
    build = importlib.import_module(f"models.{config.model.name}.model").build
    keras.utils.set_random_seed(config.seed)
    whole = build(config.model, classes)
    _, model = split_at(whole, "rescaling")
    augment = tf.keras.preprocessing.image.ImageDataGenerator(
        rotation_range=10, width_shift_range=0.2, height_shift_range=0.2, shear_range=0.2,
        zoom_range=0.2, horizontal_flip=True, fill_mode="constant",
    )  # fmt: skip
    flow = augment.flow(*train, batch_size=config.fit.batch_size, seed=config.seed)
    best, weights = np.inf, model.get_weights()
    for phase in ("warmup", "finetune"):
        freeze(whole, "pool") if phase == "warmup" else freeze(whole, config.model.freeze)
        rate = config.fit[phase].learning_rate
        model.compile(
            keras.optimizers.Adam(rate), loss="categorical_crossentropy", metrics=["accuracy"]
        )
        for _ in range(config.fit[phase].epochs):
            started = time.perf_counter()
            history = model.fit(flow, validation_data=validation, verbose=0).history
            if history["val_loss"][0] < best:
                best, weights = history["val_loss"][0], model.get_weights()
            figures = {name: values[0] for name, values in history.items()}
            say("epoch", phase=phase, seconds=time.perf_counter() - started, **figures)
    model.set_weights(weights)
    np.save(GIVEN["answers"], model.predict(test[0], verbose=0))
    say("test", rows=splits.test.tolist())
    batch = next(flow)
    model.compile(
        keras.optimizers.Adam(rate), loss="categorical_crossentropy", metrics=["accuracy"]
    )
    kinds: dict[str, Callable[[], Any]] = {
        "augmentation": lambda: next(flow),
        "training step": lambda: model.train_on_batch(*batch),
        "validation": lambda: model.test_on_batch(*batch),
    }
    time_steps(kinds, len(batch[0]))


if __name__ == "__main__":
    train(settings())
    print(json.dumps({"stage": "end"}), flush=True)
