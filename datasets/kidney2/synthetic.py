"""The generated sample of kidney2: series of slices that vary as CT slices do.

A series shows one patient, drawn in Hounsfield units and then windowed. Neighbouring slices show
the same organs a little higher: they are near-copies, as in a real set. Size, shape and posture of
the body, table, contrast medium, noise and window have the same ranges in both classes. Only what a
radiologist looks for differs:

| class | what is drawn |
|---|---|
| 0 Normal | two kidneys with bright cortex and darker medulla |
| 1 Tumor | the same, and on one kidney a rounded mass, uneven inside, some with a dark core |
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

SLICES = 4
"""Slices of a series."""
SIDE = 192
"""Side of a slice in pixels."""
STEP = 0.03
"""Distance of two slices, in half sides of the picture."""
AIR, FAT, MUSCLE, BONE, LIVER = -1000.0, -100.0, 55.0, 500.0, 100.0
"""Hounsfield units."""

_AXIS = np.linspace(-1, 1, SIDE, dtype=np.float32)
X, Y = np.meshgrid(_AXIS, _AXIS)  # (SIDE, SIDE), x to the patient's left, y to the back

Rng = np.random.Generator


@dataclass(frozen=True)
class Blob:
    """An organ: an uneven ellipsoid, in half sides of the picture."""

    x: float
    y: float
    width: float
    height: float
    z: float
    """Height of its middle."""
    length: float
    squares: np.ndarray
    """(SIDE, SIDE) squared distance from its axis, 1 on its surface."""
    waves: np.ndarray
    """(SIDE, SIDE) factors that make its outline uneven."""

    def distance(self, z: float) -> np.ndarray:
        """(SIDE, SIDE): 0 in the middle of the organ, 1 on its surface, cut at height `z`."""
        return np.sqrt(self.squares + ((z - self.z) / self.length) ** 2) * self.waves


@dataclass(frozen=True)
class Patient:
    """A body in the scanner."""

    skin: Blob
    muscle: Blob
    liver: Blob
    spleen: Blob
    spine: Blob
    aorta: Blob
    kidneys: list[Blob]
    loops: list[tuple[Blob, float]]
    """Loops of the bowel, each with the Hounsfield units of its content."""
    mass: tuple[Blob, float, float] | None
    """The tumour: its shape, its density, and the reach of its dark core."""
    table: np.ndarray
    """(SIDE, SIDE) distance from the scanner's table."""
    medium: float
    """Contrast medium in the blood, 0..1."""
    fine: np.ndarray
    coarse: np.ndarray
    """(SIDE, SIDE) textures."""

    def at(self, z: float) -> np.ndarray:
        """Hounsfield units (SIDE, SIDE) at height `z`; a later organ covers an earlier one."""
        values = np.full((SIDE, SIDE), AIR, np.float32)
        values[self.table < 0.012] = 150
        values[self.skin.distance(z) < 1] = FAT
        depth, bone = self.muscle.distance(z), self.spine.distance(z)
        values[depth < 1] = MUSCLE
        cavity = (depth < 0.86) & (bone > 1.7)
        values[cavity] = FAT + 12 * self.fine[cavity]
        for loop, content in self.loops:
            edge = loop.distance(z)
            values[(edge < 1) & cavity] = MUSCLE
            values[(edge < 0.75) & cavity] = content
        values[(self.liver.distance(z) < 1) & cavity] = LIVER + 20 * self.medium
        values[(self.spleen.distance(z) < 1) & cavity] = LIVER + 35 * self.medium
        for kidney in self.kidneys:
            edge = kidney.distance(z)
            values[edge < 1] = 80 + 160 * self.medium
            values[(edge < 0.72) & (kidney.waves * edge % 0.2 > 0.07)] = 60 + 90 * self.medium
            values[edge < 0.3] = FAT
        if self.mass is not None:
            shape, density, core = self.mass
            edge = shape.distance(z)
            inside = (edge + 0.06 * self.coarse < 1) & (depth < 0.92)
            uneven = density * self.medium + 35 + 30 * self.fine + 25 * self.coarse
            values[inside] = uneven[inside]
            values[inside & (edge + 0.12 * self.coarse < core)] = 25
        values[bone < 1] = 220 + 60 * self.fine[bone < 1]
        values[(bone > 0.86) & (bone < 1)] = BONE
        values[self.aorta.distance(z) < 1] = 60 + 260 * self.medium
        return values


def draw(label: int, seed: np.random.SeedSequence) -> np.ndarray:
    """A series of class `label`, 0 or 1: uint8 (SLICES, SIDE, SIDE, 3), the same for a seed."""
    rng = np.random.default_rng(seed)
    patient = _patient(label, rng)
    centre, width = rng.uniform(20, 70), rng.uniform(320, 480)
    blur, grain = rng.uniform(0.5, 1.0), rng.uniform(8, 30)
    slices = []
    for number in range(SLICES):
        values = gaussian_filter(patient.at(number * STEP), blur)
        values += gaussian_filter(rng.normal(0, 2.5 * grain, values.shape), 0.7)
        grey = np.clip((values - centre) / width + 0.5, 0, 1) * 255
        slices.append(np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2))
    return np.stack(slices)


def _blob(
    rng: Rng,
    x: float,
    y: float,
    width: float,
    height: float,
    length: float = 0.5,
    turn: float = 0.0,
    uneven: float = 0.05,
) -> Blob:
    """An organ around (`x`, `y`), `turn` radians out of the axes, with waves of `uneven` size."""
    u = ((X - x) * np.cos(turn) + (Y - y) * np.sin(turn)) / width
    v = ((Y - y) * np.cos(turn) - (X - x) * np.sin(turn)) / height
    angle = np.arctan2(v, u)
    waves = np.ones_like(X)
    for count, size in enumerate(rng.normal(0, uneven, 4), start=2):
        waves += size * np.cos(count * angle + rng.uniform(0, 6))
    z = rng.uniform(0, SLICES * STEP)
    return Blob(x, y, width, height, z, length, u * u + v * v, waves)


def _noise(rng: Rng, cells: int) -> np.ndarray:
    """Smooth noise (SIDE, SIDE) of deviation about 1 with `cells` bumps along a side."""
    coarse = rng.standard_normal((cells, cells)).astype(np.float32)
    image = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(image) / 0.7


def _patient(label: int, rng: Rng) -> Patient:
    """A body and its organs, in a posture of its own."""
    scale, ratio = rng.uniform(0.5, 0.95), rng.uniform(0.6, 0.9)
    x0, y0 = rng.uniform(-0.2, 0.2), rng.uniform(-0.25, 0.2)
    tilt = rng.normal(0, 0.12)
    lean = 1 - rng.uniform(0.05, 0.22)

    def body(share: float) -> Blob:
        sides = share * scale, share * scale * ratio
        return _blob(rng, x0, y0, *sides, length=9.0, turn=tilt, uneven=0.02)

    def organ(
        x: float, y: float, size: float, wide: float = 1.0, high: float = 1.0, **more: float
    ) -> Blob:
        """At (`x`, `y`) of the body, both from -1 to 1; `size` is a share of it."""
        u, v = x * scale * lean, y * scale * ratio * lean
        x, y = x0 + u * np.cos(tilt) - v * np.sin(tilt), y0 + v * np.cos(tilt) + u * np.sin(tilt)
        return _blob(rng, x, y, size * scale * wide, size * scale * high, **more)

    kidneys = [
        organ(side * rng.uniform(0.4, 0.52), rng.uniform(0.25, 0.45), rng.uniform(0.14, 0.19),
              wide=rng.uniform(0.75, 1.0), turn=side * rng.uniform(-0.2, 0.9))
        for side in (-1, 1)
    ]  # fmt: skip
    loops = []
    for x, y in rng.uniform((-0.45, -0.75), (0.7, -0.1), (rng.integers(5, 13), 2)).tolist():
        content = float(rng.choice([20, 40, 300, -600], p=[0.4, 0.35, 0.1, 0.15]))
        loops.append((organ(x, y, rng.uniform(0.05, 0.14), length=0.3), content))
    return Patient(
        skin=body(1),
        muscle=body(lean),
        liver=organ(-0.55, -0.1, 0.36, high=rng.uniform(0.8, 1.3), turn=rng.normal(0, 0.4)),
        spleen=organ(0.72, 0.05, 0.17, high=rng.uniform(1.0, 1.8), turn=rng.normal(0, 0.3)),
        spine=organ(0, 0.5, 0.15, length=9.0),
        aorta=organ(0.08, 0.2, 0.055, length=9.0),
        kidneys=kidneys,
        loops=loops,
        mass=_mass(rng, kidneys[rng.integers(2)], scale) if label else None,
        table=np.abs(Y - y0 - scale * ratio - rng.uniform(0.03, 0.09) + 0.25 * (X - x0) ** 2),
        medium=rng.uniform(0.3, 1.0),
        fine=_noise(rng, 24),
        coarse=_noise(rng, 9),
    )


def _mass(rng: Rng, kidney: Blob, scale: float) -> tuple[Blob, float, float]:
    """A tumour on the rim of `kidney`: its shape, its density, and the reach of its dark core."""
    where = rng.uniform(0, 2 * np.pi)
    x = kidney.x + kidney.width * np.cos(where)
    y = kidney.y + kidney.height * np.sin(where)
    size = scale * np.exp(rng.uniform(np.log(0.09), np.log(0.28)))
    shape = _blob(rng, x, y, size, size * rng.uniform(0.75, 1.1), uneven=0.07)
    return shape, rng.uniform(20, 110), rng.uniform(0.3, 0.7) if rng.random() < 0.5 else 0.0
