"""What judging unlikeness costs a service: the engine with and without it, in turns.

    python tests/benchmarks/abstention.py path/to/model.onnx

The model is one that a training exported with abstention. Without, the graph ends at the
probabilities and the feature map.
"""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deploy.serving.images.engine import FEATURE_MAP, INPUT, PROBABILITIES, Engine
from tests.benchmarks.tables import in_turns, show


def main() -> None:
    """Time both engines in turns, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    import numpy as np
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "plain.onnx")
        onnx.utils.extract_model(given.model, plain, [INPUT], [PROBABILITIES, FEATURE_MAP])
        paths = {"without unlikeness": plain, "with unlikeness": given.model}
        size = {name: path.stat().st_size / 1e6 for name, path in paths.items()}
        engines = {name: Engine(path, given.threads) for name, path in paths.items()}
    side = engines["with unlikeness"].image_size
    pixels = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8)
    p50 = in_turns({n: partial(each.run, pixels) for n, each in engines.items()}, given.rounds)
    base = p50["without unlikeness"]
    show(
        ["engine of the service", "p50, ms", "ratio", "size, MB"],
        [[n, f"{p50[n]:.1f}", f"{p50[n] / base:.3f}", f"{size[n]:.1f}"] for n in paths],
    )
    print(f"- one image of {side} pixels at a time, {given.rounds} rounds in turns")


if __name__ == "__main__":
    main()
