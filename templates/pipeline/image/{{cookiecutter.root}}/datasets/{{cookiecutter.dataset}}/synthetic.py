"""The generated sample of {{cookiecutter.dataset}}: draw what your classes show."""

import numpy as np
from PIL import Image, ImageDraw

SIDE = 128


def draw(label: int, seed: np.random.SeedSequence) -> np.ndarray:
    """A disc (class 0) or a square (class 1) on a blotchy ground: uint8 (SIDE, SIDE, 3)."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(60, 160, (8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(ground).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    radius = rng.integers(20, 40)
    x, y = rng.integers(radius, SIDE - radius, 2)
    pen = ImageDraw.Draw(image)
    shape = pen.rectangle if label else pen.ellipse
    colour = tuple(rng.integers(150, 230, 3).tolist())
    shape([int(x - radius), int(y - radius), int(x + radius), int(y + radius)], fill=colour)
    return np.asarray(image)
