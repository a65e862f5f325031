"""The generated sample of kvasir4: frames that vary as endoscopy frames do.

All classes have the same camera and light: exposure, colour cast, borders, insets, highlights,
sharpness and size have the same ranges, and the mean colour is moved towards a target that does not
depend on the class. Only what a physician looks at differs:

| class | what is drawn |
|---|---|
| 0 normal | branching vessels on a smooth wall, folds, often the dark lumen |
| 1 ulcerative colitis | vessels lost, granular and patchy redness, whitish ulcers, bleeding spots |
| 2 polyps | a normal wall with one to three shaded bumps, some of them small or flat |
| 3 esophagitis | pale wall, z-line around a red centre, inflamed streaks, lengthwise folds |

A scene is painted on a fixed grid, one step after the other: relief (shading) of the wall,
findings, light, camera.
"""

import numpy as np

from datasets.kvasir4.synthetic.camera import camera, lit
from datasets.kvasir4.synthetic.findings import PAINTERS
from datasets.kvasir4.synthetic.scene import wall


def draw(label: int, seed: np.random.SeedSequence) -> np.ndarray:
    """One frame of class `label`, 0 to 3: uint8 (H, W, 3), the same for the same seed."""
    rng = np.random.default_rng(seed)
    scene = wall(rng, tubular=label == 3)
    PAINTERS[label](scene, rng)
    return camera(lit(scene, rng), rng)
