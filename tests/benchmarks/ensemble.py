"""The cost of an ensemble of folds: one network beside K networks as one graph.

    python tests/benchmarks/ensemble.py
    python tests/benchmarks/ensemble.py --networks 3 --pipeline train_mobilenetv2ft

Both graphs classify the same generated image in turns, with ONNX Runtime as in the service.
"""

import argparse
import importlib
import os
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("MLFLOW_TRACKING_URI", "sqlite:///unused.db")

from models.common import export_onnx, layers_after
from models.ensemble import ensemble
from tests.benchmarks.tables import in_turns, show
from tests.common import configuration
from train.common.tracking.examples import drawn_images


def main() -> None:
    """Export both, time both in turns, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pipeline", default="train_efficientnetliteft")
    parser.add_argument("--networks", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=200)
    given = parser.parse_args()
    import keras
    import numpy as np
    import onnxruntime

    config = configuration(f"+pipeline={given.pipeline}", "env=production")
    build = importlib.import_module(f"models.{config.model.name}.model").build
    keras.utils.set_random_seed(0)
    first = build(replace(config.model, weights="none"), len(config.dataset.classes))
    networks, rng = [first], np.random.default_rng(0)
    for _ in range(given.networks - 1):
        other = keras.models.clone_model(first)
        other.set_weights(first.get_weights())
        for layer in layers_after(other, config.model.freeze):
            noise = [rng.normal(1, 0.01, w.shape) for w in layer.get_weights()]
            layer.set_weights([w * n for w, n in zip(layer.get_weights(), noise, strict=True)])
        networks.append(other)
    graphs = {"one network": first}
    graphs[f"{given.networks} networks, one graph"] = ensemble(networks, config.model.freeze)
    with tempfile.TemporaryDirectory() as folder:
        sessions, size = {}, {}
        for number, (name, model) in enumerate(graphs.items()):
            path = Path(folder, f"{number}.onnx")
            export_onnx(model, path)
            size[name] = path.stat().st_size / 1e6
            sessions[name] = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        image = {"image": drawn_images(config.model.image_size)}
        runs = {name: partial(each.run, None, image) for name, each in sessions.items()}
        middle = in_turns(runs, given.rounds)
    base = middle["one network"]
    show(
        ["model", "median, ms", "ratio", "size, MB"],
        [[n, f"{middle[n]:.1f}", f"{middle[n] / base:.2f}", f"{size[n]:.0f}"] for n in graphs],
    )
    print(f"- {given.pipeline}, one image at a time, {given.rounds} rounds in turns")


if __name__ == "__main__":
    main()
