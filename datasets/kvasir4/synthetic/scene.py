"""The scene in front of the camera: the bare wall of the gut with its folds, and smooth noise."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

GRID = 160
"""Side of the painted scene in pixels, before it takes the frame's size."""

_AXIS = np.linspace(-1, 1, GRID, dtype=np.float32)
X, Y = np.meshgrid(_AXIS, _AXIS)  # (GRID, GRID), x to the right, y down

Rng = np.random.Generator


@dataclass
class Scene:
    """What is in front of the camera; all (GRID, GRID) float32 unless said otherwise."""

    radius: np.ndarray
    """Distance from the lumen's centre, wobbly; 1 is half a frame."""
    angle: np.ndarray
    light: np.ndarray
    """Brightness of the bare wall, 0..1."""
    tint: np.ndarray
    """(GRID, GRID, 3) factors on the colour of the wall."""


def noise(rng: Rng, cells: float) -> np.ndarray:
    """Smooth noise of mean 0 and deviation about 1 with `cells` bumps along a side."""
    count = max(2, round(cells)) + 3
    coarse = rng.standard_normal((count, count)).astype(np.float32)
    image = Image.fromarray(coarse).resize((GRID, GRID), Image.Resampling.BICUBIC)
    values = np.asarray(image)
    return (values - values.mean()) / (values.std() + 1e-6)


def step(values: np.ndarray, edge: float, width: float) -> np.ndarray:
    """0 below `edge`, 1 above `edge + width`, smooth between."""
    t = np.clip((values - edge) / width, 0, 1)
    return t * t * (3 - 2 * t)


def blots(rng: Rng, cells: float, share: float, soft: float) -> np.ndarray:
    """Irregular blots, 0..1, that cover about `share` of the scene."""
    field = noise(rng, cells) + 0.35 * noise(rng, cells * 3)
    return step(field, float(np.quantile(field, 1 - share)), soft)


def wall(rng: Rng, tubular: bool) -> Scene:
    """A tube with its folds, seen along its axis or from the side; `tubular`: the oesophagus."""
    warp = rng.uniform(0.02, 0.09)
    x = X + warp * noise(rng, 3)
    y = Y + warp * noise(rng, 3)
    away = rng.uniform(0, 0.45) if tubular or rng.random() < 0.62 else rng.uniform(0.8, 1.7)
    where = rng.uniform(0, 2 * np.pi)
    x, y = x - away * np.cos(where), y - away * np.sin(where)
    turn, squeeze = rng.uniform(0, np.pi), rng.uniform(0.65, 1)
    u = (x * np.cos(turn) + y * np.sin(turn)) / squeeze
    v = y * np.cos(turn) - x * np.sin(turn)
    angle = np.arctan2(v, u)
    lobes = int(rng.integers(2, 4))
    wobble = 1 + rng.uniform(0, 0.16) * np.cos(lobes * angle + rng.uniform(0, 6))
    radius = np.sqrt(u * u + v * v) * wobble + 1e-3
    opening = rng.uniform(0.06, 0.16) if tubular else rng.uniform(0.1, 0.4)
    light = 0.1 + 0.9 * (1 - np.exp(-((radius / (opening * 1.9)) ** rng.uniform(1.2, 2.2))))
    scene = Scene(radius, angle, light, np.ones((GRID, GRID, 3), np.float32))
    if tubular:
        _lengthwise_folds(scene, rng)
    else:
        _haustral_folds(scene, rng)
    relief = 0.05 * noise(rng, 6) + 0.02 * noise(rng, 18)
    scene.light *= 1 + rng.uniform(0.5, 1.4) * relief
    return scene


def _haustral_folds(scene: Scene, rng: Rng) -> None:
    """Crescents around the lumen: a bright crest, and behind it, further in, a sudden shadow."""
    depth = -np.log(scene.radius) * rng.uniform(1.1, 2.3) + rng.uniform(0, 1)
    depth += 0.22 * np.cos(scene.angle * int(rng.integers(1, 4)) + rng.uniform(0, 6))
    depth += 0.04 * noise(rng, 4)
    phase = depth - np.floor(depth)
    ridge = phase * phase * (1 - step(phase, 0.9, 0.1))
    arcs = scene.angle * int(rng.integers(1, 4)) + np.floor(depth) * 2.1
    partial = step(np.cos(arcs), -0.6, 1.2)
    strength = rng.uniform(0.15, 0.95)
    shadow = np.exp(-phase * rng.uniform(3, 8)) * partial
    scene.light *= 1 + strength * (0.6 * ridge * partial - 0.7 * shadow)


def _lengthwise_folds(scene: Scene, rng: Rng) -> None:
    """Ridges that run into the closed lumen of the oesophagus like the rays of a star."""
    count = int(rng.integers(4, 8))
    bent = scene.angle * count + 1.5 * noise(rng, 3) + rng.uniform(0, 6)
    near = np.exp(-scene.radius / rng.uniform(0.25, 0.6))
    scene.light *= 1 - rng.uniform(0.15, 0.75) * near * (0.5 - 0.5 * np.cos(bent)) ** 3
