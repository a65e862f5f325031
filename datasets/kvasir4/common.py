"""The generated sample of kvasir4: frames that differ the way endoscopy frames do.

Every class is seen by the same camera in the same light: exposure, colour cast, borders, insets,
highlights, sharpness and size are drawn from the same ranges, and the mean colour is pulled to a
target that knows nothing of the class. What differs is what a physician looks at:

| class | what is drawn |
|---|---|
| 0 normal | branching vessels on a smooth wall, folds, often the dark lumen |
| 1 ulcerative colitis | vessels lost, granular and patchy redness, whitish ulcers, bleeding spots |
| 2 polyps | a normal wall with one to three shaded bumps, some of them small or flat |
| 3 esophagitis | pale wall, z-line around a red centre, inflamed streaks, lengthwise folds |

A scene is painted on a fixed grid, in linear steps that each take and return arrays: relief
(shading), colour, light, camera.
"""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy.ndimage import gaussian_filter

GRID = 160
"""Side of the painted scene in pixels, before it takes the frame's size."""
CLASSES = ("0_normal", "1_ulcerative_colitis", "2_polyps", "3_esophagitis")
"""What `draw` knows, by the number of the class."""
SIDES = (220, 420)
"""Range of the sides of a frame in pixels."""

_AXIS = np.linspace(-1, 1, GRID, dtype=np.float32)
X, Y = np.meshgrid(_AXIS, _AXIS)  # (GRID, GRID), x to the right, y down
FROM_CENTRE = np.hypot(X, Y)
SHOULDER = 1.3
"""How softly the sensor's curve runs into white."""

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


def draw(label: int, seed: np.random.SeedSequence) -> np.ndarray:
    """One frame of class `label`, 0 to 3: uint8 (H, W, 3), the same for the same seed."""
    rng = np.random.default_rng(seed)
    scene = _wall(rng, tubular=label == 3)
    PAINTERS[label](scene, rng)
    return _camera(_lit(scene, rng), rng)


# Noise


def _noise(rng: Rng, cells: float) -> np.ndarray:
    """Smooth noise of mean 0 and deviation about 1 with `cells` bumps along a side."""
    count = max(2, round(cells)) + 3
    coarse = rng.standard_normal((count, count)).astype(np.float32)
    image = Image.fromarray(coarse).resize((GRID, GRID), Image.Resampling.BICUBIC)
    values = np.asarray(image)
    return (values - values.mean()) / (values.std() + 1e-6)


def _step(values: np.ndarray, edge: float, width: float) -> np.ndarray:
    """0 below `edge`, 1 above `edge + width`, smooth between."""
    t = np.clip((values - edge) / width, 0, 1)
    return t * t * (3 - 2 * t)


# The wall of the gut


def _wall(rng: Rng, tubular: bool) -> Scene:
    """A tube that is looked along or at, with its folds; `tubular` is the oesophagus."""
    warp = rng.uniform(0.02, 0.09)
    x = X + warp * _noise(rng, 3)
    y = Y + warp * _noise(rng, 3)
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
    relief = 0.05 * _noise(rng, 6) + 0.02 * _noise(rng, 18)
    scene.light *= 1 + rng.uniform(0.5, 1.4) * relief
    return scene


def _haustral_folds(scene: Scene, rng: Rng) -> None:
    """Crescents around the lumen: a bright crest, and behind it, further in, a sudden shadow."""
    depth = -np.log(scene.radius) * rng.uniform(1.1, 2.3) + rng.uniform(0, 1)
    depth += 0.22 * np.cos(scene.angle * int(rng.integers(1, 4)) + rng.uniform(0, 6))
    depth += 0.04 * _noise(rng, 4)
    phase = depth - np.floor(depth)
    ridge = phase * phase * (1 - _step(phase, 0.9, 0.1))
    arcs = scene.angle * int(rng.integers(1, 4)) + np.floor(depth) * 2.1
    partial = _step(np.cos(arcs), -0.6, 1.2)
    strength = rng.uniform(0.15, 0.95)
    shadow = np.exp(-phase * rng.uniform(3, 8)) * partial
    scene.light *= 1 + strength * (0.6 * ridge * partial - 0.7 * shadow)


def _lengthwise_folds(scene: Scene, rng: Rng) -> None:
    """Ridges that run into the closed lumen of the oesophagus like the rays of a star."""
    count = int(rng.integers(4, 8))
    bent = scene.angle * count + 1.5 * _noise(rng, 3) + rng.uniform(0, 6)
    near = np.exp(-scene.radius / rng.uniform(0.25, 0.6))
    scene.light *= 1 - rng.uniform(0.15, 0.75) * near * (0.5 - 0.5 * np.cos(bent)) ** 3


# What is on the wall


def _vessels(scene: Scene, rng: Rng, strength: float, trees: int = 9) -> None:
    """Branching vessels, red because they swallow green and blue."""
    canvas = Image.new("L", (2 * GRID, 2 * GRID))
    pen = ImageDraw.Draw(canvas)
    for _ in range(trees):
        x, y, heading, width = rng.uniform((0, 0, 0, 3), (2 * GRID, 2 * GRID, 6.3, 7)).tolist()
        _branch(pen, rng, x, y, heading, width)
    ink = np.asarray(canvas.resize((GRID, GRID), Image.Resampling.BOX), np.float32) / 255
    ink = gaussian_filter(ink, 0.7) * _step(scene.light, 0.15, 0.5)
    ink *= 0.75 + 0.25 * _noise(rng, 4)
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
    lobed = 1 + 0.1 * _noise(rng, 5) + rng.uniform(0, 0.12) * np.cos(3 * np.arctan2(v, u))
    distance = np.sqrt(u * u + v * v) * lobed
    inside = 1 - _step(distance, 0.88, 0.2)
    dome = np.sqrt(np.clip(1 - (distance * 0.96) ** 2, 0, 1)) + 0.012 * _noise(rng, 24)
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


def _blots(rng: Rng, cells: float, share: float, soft: float) -> np.ndarray:
    """Irregular blots, 0..1, that cover about `share` of the scene."""
    field = _noise(rng, cells) + 0.35 * _noise(rng, cells * 3)
    return _step(field, float(np.quantile(field, 1 - share)), soft)


# The four classes


def _paint_normal(scene: Scene, rng: Rng) -> None:
    _vessels(scene, rng, rng.uniform(0.45, 1.15), int(rng.integers(8, 17)))
    _distract(scene, rng)


def _paint_colitis(scene: Scene, rng: Rng) -> None:
    severity = rng.uniform(0.4, 1)
    _vessels(scene, rng, rng.uniform(0, 0.4) * (1 - severity))
    scene.tint *= 1 - severity * np.array([0.05, 0.42, 0.36], np.float32)
    grain = gaussian_filter(rng.standard_normal((GRID, GRID)).astype(np.float32), 1.4)
    grain -= gaussian_filter(grain, 4)
    grain /= grain.std()
    scene.light *= 1 + severity * rng.uniform(0.05, 0.11) * grain * (1 + 0.5 * _noise(rng, 5))
    red = _blots(rng, 5, rng.uniform(0.2, 0.6), 1.2)[..., None] * severity
    scene.tint *= 1 - red * np.array([0.06, 0.3, 0.24], np.float32)
    if rng.random() < 0.35 + 0.6 * severity:
        ulcers = _blots(rng, rng.uniform(6, 14), rng.uniform(0.01, 0.07), 0.5)
        rim = gaussian_filter(ulcers, 4) * (1 - ulcers)
        scene.tint *= 1 - rim[..., None] * np.array([0.1, 0.55, 0.5], np.float32)
        fibrin = np.array([1.22, 1.55, 1.35 + rng.uniform(-0.3, 0.15)], np.float32)
        scene.tint *= 1 + (0.35 + 0.65 * severity) * ulcers[..., None] * (fibrin - 1)
    spots = _blots(rng, 30, rng.uniform(0, 0.012) * severity, 0.4)[..., None]
    scene.tint *= 1 - spots * np.array([0.35, 0.8, 0.75], np.float32)
    _distract(scene, rng)


def _paint_polyps(scene: Scene, rng: Rng) -> None:
    _vessels(scene, rng, rng.uniform(0.05, 0.7), int(rng.integers(3, 10)))
    for _ in range(rng.choice([1, 2, 3], p=[0.75, 0.18, 0.07])):
        size = float(np.exp(rng.uniform(np.log(0.16), np.log(0.55))))
        x0, y0 = rng.uniform(-0.6, 0.6, 2)
        redder = rng.uniform(0.7, 1.05)
        hue = np.array([1.03, redder, redder * rng.uniform(0.9, 1.08)], np.float32)
        _bump(scene, rng, x0, y0, size, rng.uniform(0.3, 0.85), hue)
    _distract(scene, rng)


def _paint_esophagitis(scene: Scene, rng: Rng) -> None:
    _vessels(scene, rng, rng.uniform(0, 0.5), int(rng.integers(2, 8)))
    count = int(rng.integers(3, 9))
    tongues = rng.uniform(0.03, 0.16) * np.cos(count * scene.angle + 2 * _noise(rng, 3))
    edge = rng.uniform(0.22, 0.6) * (1 + tongues) + 0.035 * _noise(rng, 9)
    inner = 1 - _step(scene.radius - edge, 0, rng.uniform(0.03, 0.12))
    contrast = rng.uniform(0.35, 1)
    scene.tint *= 1 - contrast * inner[..., None] * np.array([0.08, 0.34, 0.3], np.float32)
    pale = (1 - inner)[..., None] * np.array([0.06, 0.42, 0.5], np.float32)
    scene.tint *= 1 + contrast * pale
    severity = rng.uniform(0.25, 1)
    rays = int(rng.integers(3, 7)) * scene.angle + rng.uniform(0, 6)
    streaks = np.cos(rays + 0.8 * _noise(rng, 5))
    beyond = np.exp(-(((scene.radius - edge) / rng.uniform(0.2, 0.5)) ** 2)) * (1 - inner)
    erosion = _step(streaks + 0.25 * _noise(rng, 10), 0.55, 0.4) * beyond * severity
    scene.tint *= 1 - erosion[..., None] * np.array([0.12, 0.58, 0.5], np.float32)
    if rng.random() < 0.5:
        slough = _step(streaks + 0.3 * _noise(rng, 14), 0.95, 0.25) * beyond * severity
        scene.tint *= 1 + slough[..., None] * np.array([0.1, 0.7, 0.6], np.float32)
    _distract(scene, rng)


PAINTERS = (_paint_normal, _paint_colitis, _paint_polyps, _paint_esophagitis)


def _distract(scene: Scene, rng: Rng) -> None:
    """What any frame may show: reddish areas, yellow residue, bubbles."""
    patch = _blots(rng, 3, rng.uniform(0.1, 0.5), 1.5)[..., None] * rng.uniform(0, 0.2)
    scene.tint *= 1 - patch * np.array([0, 0.8, 0.7], np.float32)
    if rng.random() < 0.25:
        residue = _blots(rng, rng.uniform(4, 12), rng.uniform(0.005, 0.05), 0.7)[..., None]
        scene.tint *= 1 + residue * np.array([0.02, 0.12, -0.45], np.float32)
    if rng.random() < 0.2:
        x0, y0 = rng.uniform(-0.8, 0.8, 2)
        for _ in range(int(rng.integers(2, 14))):
            x, y = x0 + rng.normal(0, 0.12), y0 + rng.normal(0, 0.12)
            size = rng.uniform(0.012, 0.04)
            ring = np.exp(-((np.hypot(X - x, Y - y) / size - 1) ** 2) * 14)
            scene.light *= 1 + 0.35 * ring


# Light and camera


def _lit(scene: Scene, rng: Rng) -> np.ndarray:
    """Colours of the scene under the lamp: float32 (GRID, GRID, 3), 0..1 and over."""
    x0, y0 = rng.uniform(-0.7, 0.7, 2)
    falloff = 1 / (1 + rng.uniform(0.1, 0.9) * ((X - x0) ** 2 + (Y - y0) ** 2))
    light = np.clip(scene.light, 0.02, None) * falloff * 1.25
    if rng.random() < 0.4:  # a wall so close that it burns out
        side = rng.uniform(0, 2 * np.pi)
        near = X * np.cos(side) + Y * np.sin(side) + 0.12 * _noise(rng, 3)
        light = light + rng.uniform(0.3, 1.3) * _step(near, rng.uniform(0.45, 0.8), 0.6)
    base = np.array([0.86, rng.uniform(0.4, 0.58), rng.uniform(0.28, 0.52)], np.float32)
    depth = np.array([0.75, 1.15, 1.2], np.float32)  # the dark of a gut is red
    colours = base * np.exp(np.log(light)[..., None] * depth) * scene.tint
    inside = FROM_CENTRE[::2, ::2] < 0.9
    red = rng.uniform(0.5, 0.82)
    green = red * rng.uniform(0.42, 0.62)
    shown = np.array([red, green, green * rng.uniform(0.5, 0.95)])
    target = -np.log(1 - shown * (1 - np.exp(-SHOULDER))) / SHOULDER
    # Not all of the difference in mean colour goes: it is a hint in real frames as well.
    gain = (target / colours[::2, ::2][inside].mean(axis=0)) ** 0.3
    colours = colours * gain.astype(np.float32)
    return _highlights(colours, light, rng)


def _highlights(colours: np.ndarray, light: np.ndarray, rng: Rng) -> np.ndarray:
    """White reflections of the lamp on the wet wall, in clusters where it is bright."""
    fine = _noise(rng, rng.uniform(22, 48)) + 0.6 * _noise(rng, 60)
    wet = fine + 0.9 * _noise(rng, 4) + 1.2 * np.clip(light, 0, 1)
    share = 0.001 if rng.random() < 0.25 else rng.uniform(0.002, 0.03)
    spots = _step(wet, float(np.quantile(wet, 1 - share)), 0.3)
    spots = np.clip(spots + 0.25 * gaussian_filter(spots, 1.5), 0, 1)[..., None]
    return colours * (1 - spots) + spots * np.array([1.0, 0.98, 0.95], np.float32)


def _camera(colours: np.ndarray, rng: Rng) -> np.ndarray:
    """Lens, sensor and overlay of the endoscope: uint8 (H, W, 3)."""
    vignette = 1 - rng.uniform(0, 0.4) * _step(FROM_CENTRE, 0.5, 0.9)
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
