"""The findings that a physician looks at, on the wall of the gut: one painter a class."""

import math

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from datasets.kvasir4.synthetic.scene import GRID, Rng, Scene, X, Y, blots, noise, step


def _paint_normal(scene: Scene, rng: Rng) -> None:
    vessels(scene, rng, rng.uniform(0.45, 1.15), int(rng.integers(8, 17)))
    _distract(scene, rng)


def _paint_colitis(scene: Scene, rng: Rng) -> None:
    severity = rng.uniform(0.4, 1)
    vessels(scene, rng, rng.uniform(0, 0.4) * (1 - severity))
    scene.tint *= 1 - severity * np.array([0.05, 0.42, 0.36], np.float32)
    grain = gaussian_filter(rng.standard_normal((GRID, GRID)).astype(np.float32), 1.4)
    grain -= gaussian_filter(grain, 4)
    grain /= grain.std()
    scene.light *= 1 + severity * rng.uniform(0.05, 0.11) * grain * (1 + 0.5 * noise(rng, 5))
    red = blots(rng, 5, rng.uniform(0.2, 0.6), 1.2)[..., None] * severity
    scene.tint *= 1 - red * np.array([0.06, 0.3, 0.24], np.float32)
    if rng.random() < 0.35 + 0.6 * severity:
        ulcers = blots(rng, rng.uniform(6, 14), rng.uniform(0.01, 0.07), 0.5)
        rim = gaussian_filter(ulcers, 4) * (1 - ulcers)
        scene.tint *= 1 - rim[..., None] * np.array([0.1, 0.55, 0.5], np.float32)
        fibrin = np.array([1.22, 1.55, 1.35 + rng.uniform(-0.3, 0.15)], np.float32)
        scene.tint *= 1 + (0.35 + 0.65 * severity) * ulcers[..., None] * (fibrin - 1)
    spots = blots(rng, 30, rng.uniform(0, 0.012) * severity, 0.4)[..., None]
    scene.tint *= 1 - spots * np.array([0.35, 0.8, 0.75], np.float32)
    _distract(scene, rng)


def _paint_polyps(scene: Scene, rng: Rng) -> None:
    vessels(scene, rng, rng.uniform(0.05, 0.7), int(rng.integers(3, 10)))
    for _ in range(rng.choice([1, 2, 3], p=[0.75, 0.18, 0.07])):
        size = float(np.exp(rng.uniform(np.log(0.16), np.log(0.55))))
        x0, y0 = rng.uniform(-0.6, 0.6, 2)
        redder = rng.uniform(0.7, 1.05)
        hue = np.array([1.03, redder, redder * rng.uniform(0.9, 1.08)], np.float32)
        _bump(scene, rng, x0, y0, size, rng.uniform(0.3, 0.85), hue)
    _distract(scene, rng)


def _paint_esophagitis(scene: Scene, rng: Rng) -> None:
    vessels(scene, rng, rng.uniform(0, 0.5), int(rng.integers(2, 8)))
    count = int(rng.integers(3, 9))
    tongues = rng.uniform(0.03, 0.16) * np.cos(count * scene.angle + 2 * noise(rng, 3))
    edge = rng.uniform(0.22, 0.6) * (1 + tongues) + 0.035 * noise(rng, 9)
    inner = 1 - step(scene.radius - edge, 0, rng.uniform(0.03, 0.12))
    contrast = rng.uniform(0.35, 1)
    scene.tint *= 1 - contrast * inner[..., None] * np.array([0.08, 0.34, 0.3], np.float32)
    pale = (1 - inner)[..., None] * np.array([0.06, 0.42, 0.5], np.float32)
    scene.tint *= 1 + contrast * pale
    severity = rng.uniform(0.25, 1)
    rays = int(rng.integers(3, 7)) * scene.angle + rng.uniform(0, 6)
    streaks = np.cos(rays + 0.8 * noise(rng, 5))
    beyond = np.exp(-(((scene.radius - edge) / rng.uniform(0.2, 0.5)) ** 2)) * (1 - inner)
    erosion = step(streaks + 0.25 * noise(rng, 10), 0.55, 0.4) * beyond * severity
    scene.tint *= 1 - erosion[..., None] * np.array([0.12, 0.58, 0.5], np.float32)
    if rng.random() < 0.5:
        slough = step(streaks + 0.3 * noise(rng, 14), 0.95, 0.25) * beyond * severity
        scene.tint *= 1 + slough[..., None] * np.array([0.1, 0.7, 0.6], np.float32)
    _distract(scene, rng)


PAINTERS = (_paint_normal, _paint_colitis, _paint_polyps, _paint_esophagitis)


def _distract(scene: Scene, rng: Rng) -> None:
    """Distractors that any frame may show: reddish areas, yellow residue, bubbles."""
    patch = blots(rng, 3, rng.uniform(0.1, 0.5), 1.5)[..., None] * rng.uniform(0, 0.2)
    scene.tint *= 1 - patch * np.array([0, 0.8, 0.7], np.float32)
    if rng.random() < 0.25:
        residue = blots(rng, rng.uniform(4, 12), rng.uniform(0.005, 0.05), 0.7)[..., None]
        scene.tint *= 1 + residue * np.array([0.02, 0.12, -0.45], np.float32)
    if rng.random() < 0.2:
        x0, y0 = rng.uniform(-0.8, 0.8, 2)
        for _ in range(int(rng.integers(2, 14))):
            x, y = x0 + rng.normal(0, 0.12), y0 + rng.normal(0, 0.12)
            size = rng.uniform(0.012, 0.04)
            ring = np.exp(-((np.hypot(X - x, Y - y) / size - 1) ** 2) * 14)
            scene.light *= 1 + 0.35 * ring


def vessels(scene: Scene, rng: Rng, strength: float, trees: int = 9) -> None:
    """Branching vessels, red because they absorb green and blue."""
    canvas = Image.new("L", (2 * GRID, 2 * GRID))
    pen = ImageDraw.Draw(canvas)
    for _ in range(trees):
        x, y, heading, width = rng.uniform((0, 0, 0, 3), (2 * GRID, 2 * GRID, 6.3, 7)).tolist()
        _branch(pen, rng, x, y, heading, width)
    ink = np.asarray(canvas.resize((GRID, GRID), Image.Resampling.BOX), np.float32) / 255
    ink = gaussian_filter(ink, 0.7) * step(scene.light, 0.15, 0.5)
    ink *= 0.75 + 0.25 * noise(rng, 4)
    scene.tint *= 1 - strength * ink[..., None] * np.array([0.42, 0.85, 0.75], np.float32)


def _branch(
    pen: ImageDraw.ImageDraw, rng: Rng, x: float, y: float, heading: float, width: float
) -> None:
    """A vessel from (`x`, `y`) on, in the pixels of the canvas; its branches are thinner."""
    points = [(x, y)]
    for bend, fork, side in rng.standard_normal((9, 3)).tolist():
        heading += 0.28 * bend
        x, y = x + 14 * math.cos(heading), y + 14 * math.sin(heading)
        points.append((x, y))
        if width > 1.8 and fork > 0.75:
            aside = math.copysign(0.4, side) + 0.4 * side
            _branch(pen, rng, x, y, heading + aside, width * 0.62)
    pen.line(points, fill=int(160 + 80 * rng.random()), width=max(1, round(width)), joint="curve")


def _bump(
    scene: Scene, rng: Rng, x0: float, y0: float, size: float, height: float, hue: np.ndarray
) -> None:
    """A shaded bump with a rim of shadow, at (`x0`, `y0`), of radius `size`."""
    turn, stretch = rng.uniform(0, np.pi), rng.uniform(0.7, 1)
    x, y = X - x0, Y - y0
    u = (x * np.cos(turn) + y * np.sin(turn)) / size
    v = (y * np.cos(turn) - x * np.sin(turn)) / (size * stretch)
    lobed = 1 + 0.1 * noise(rng, 5) + rng.uniform(0, 0.12) * np.cos(3 * np.arctan2(v, u))
    distance = np.sqrt(u * u + v * v) * lobed
    inside = 1 - step(distance, 0.88, 0.2)
    dome = np.sqrt(np.clip(1 - (distance * 0.96) ** 2, 0, 1)) + 0.012 * noise(rng, 24)
    slope_y, slope_x = np.gradient(gaussian_filter(dome, 1.2) * size * GRID / 2)
    lamp = rng.uniform(0, 2 * np.pi)
    shade = height * (slope_x * np.cos(lamp) + slope_y * np.sin(lamp))
    around = np.exp(-(((distance - 1.03) / 0.13) ** 2))
    side = 0.5 + 0.5 * np.tanh(2 * (u * np.cos(lamp - turn) + v * np.sin(lamp - turn)))
    level = scene.light[_pixel(y0), _pixel(x0)]
    flat = scene.light + 0.65 * inside * (max(level, 0.5) - scene.light)
    scene.light = flat * (1 - inside * np.clip(shade, -0.5, 0.6)) + 0.1 * height * inside * dome
    scene.light *= 1 - height * around * (0.25 + 0.6 * side)
    scene.tint *= 1 + inside[..., None] * (hue - 1)


def _pixel(position: float) -> int:
    return int(np.clip((position + 1) / 2 * (GRID - 1), 0, GRID - 1))
