"""From a scene to a frame: light, lens, sensor and overlay, alike in every class."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy.ndimage import gaussian_filter

from datasets.kvasir4.synthetic.scene import Rng, Scene, X, Y, noise, step

SIDES = (220, 420)
"""Range of the sides of a frame in pixels."""
FROM_CENTRE = np.hypot(X, Y)
SHOULDER = 1.3
"""How softly the sensor's curve runs into white."""


def lit(scene: Scene, rng: Rng) -> np.ndarray:
    """Colours of the scene under the lamp: float32 (GRID, GRID, 3), 0..1 and over."""
    x0, y0 = rng.uniform(-0.7, 0.7, 2)
    falloff = 1 / (1 + rng.uniform(0.1, 0.9) * ((X - x0) ** 2 + (Y - y0) ** 2))
    light = np.clip(scene.light, 0.02, None) * falloff * 1.25
    if rng.random() < 0.4:  # a wall so close that it burns out
        side = rng.uniform(0, 2 * np.pi)
        near = X * np.cos(side) + Y * np.sin(side) + 0.12 * noise(rng, 3)
        light = light + rng.uniform(0.3, 1.3) * step(near, rng.uniform(0.45, 0.8), 0.6)
    base = np.array([0.86, rng.uniform(0.4, 0.58), rng.uniform(0.28, 0.52)], np.float32)
    depth = np.array([0.75, 1.15, 1.2], np.float32)  # the dark of a gut is red
    colours = base * np.exp(np.log(light)[..., None] * depth) * scene.tint
    inside = FROM_CENTRE[::2, ::2] < 0.9
    red = rng.uniform(0.5, 0.82)
    green = red * rng.uniform(0.42, 0.62)
    shown = np.array([red, green, green * rng.uniform(0.5, 0.95)])
    target = -np.log(1 - shown * (1 - np.exp(-SHOULDER))) / SHOULDER
    # A part of the difference in mean colour stays: it is a hint in real frames as well.
    gain = (target / colours[::2, ::2][inside].mean(axis=0)) ** 0.3
    colours = colours * gain.astype(np.float32)
    return _highlights(colours, light, rng)


def _highlights(colours: np.ndarray, light: np.ndarray, rng: Rng) -> np.ndarray:
    """White reflections of the lamp on the wet wall, in clusters where it is bright."""
    fine = noise(rng, rng.uniform(22, 48)) + 0.6 * noise(rng, 60)
    wet = fine + 0.9 * noise(rng, 4) + 1.2 * np.clip(light, 0, 1)
    share = 0.001 if rng.random() < 0.25 else rng.uniform(0.002, 0.03)
    spots = step(wet, float(np.quantile(wet, 1 - share)), 0.3)
    spots = np.clip(spots + 0.25 * gaussian_filter(spots, 1.5), 0, 1)[..., None]
    return colours * (1 - spots) + spots * np.array([1.0, 0.98, 0.95], np.float32)


def camera(colours: np.ndarray, rng: Rng) -> np.ndarray:
    """Lens, sensor and overlay of the endoscope: uint8 (H, W, 3)."""
    vignette = 1 - rng.uniform(0, 0.4) * step(FROM_CENTRE, 0.5, 0.9)
    seen = np.clip(colours, 0, None) * vignette[..., None]
    height = int(rng.integers(*SIDES))
    width = int(np.clip(height * rng.uniform(1, 1.32), *SIDES))
    curve = (1 - np.exp(-SHOULDER * seen)) / (1 - np.exp(-SHOULDER))
    frame = Image.fromarray((np.clip(curve, 0, 1) * 255).astype(np.uint8))
    blur = float(rng.choice([0.0, 0.5, 1.2], p=[0.5, 0.35, 0.15]))
    frame = frame.filter(ImageFilter.GaussianBlur(blur)) if blur else frame
    frame = frame.resize((width, height), Image.Resampling.BICUBIC)
    grain = rng.standard_normal((height, width, 1), np.float32) * np.float32(rng.uniform(1, 5))
    return _overlay(np.clip(np.asarray(frame) + grain, 0, 255).astype(np.uint8), rng)


def _overlay(seen: np.ndarray, rng: Rng) -> np.ndarray:
    """Black border, text and the green position inset, alike in every class."""
    height, width = seen.shape[:2]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    margin = rng.uniform(0, 0.1)
    shape = rng.choice(3, p=[0.6, 0.3, 0.1])
    shift = rng.uniform(-0.08, 0.08)
    if shape == 0:  # octagon
        outside = abs(x - shift) + abs(y) > rng.uniform(1.45, 1.65)
        outside |= (abs(x - shift) > 1 - margin) | (abs(y) > 1 - margin / 2)
    elif shape == 1:  # circle, cut off above and below
        outside = np.hypot(x - shift, y * rng.uniform(0.7, 0.95)) > rng.uniform(0.94, 1.1)
    else:
        outside = np.zeros((height, width), bool)
    seen[outside] = int(rng.integers(0, 14))
    if rng.random() < 0.4:
        side = int(rng.uniform(0.2, 0.3) * width)
        seen[-side - 4 :, : side + 4] = 4
        seen[-side:, :side] = rng.integers((5, 150, 120), (40, 200, 150))
        course = Image.new("L", (side, side))
        path = np.cumsum(rng.normal(0, side / 9, (7, 2)), axis=0) + side / 2
        ImageDraw.Draw(course).line([tuple(p) for p in path.tolist()], fill=255, width=2)
        seen[-side:, :side][np.asarray(course) > 0] = 20
    frame = Image.fromarray(seen)
    if rng.random() < 0.5:
        pen = ImageDraw.Draw(frame)
        for line in range(int(rng.integers(2, 7))):
            place = (3, int((0.08 + 0.05 * line) * height))
            text = str(rng.integers(100, 10**9))
            pen.text(place, text, fill=(225, 225, 225), font_size=max(7, height // 34))
    return np.asarray(frame)
