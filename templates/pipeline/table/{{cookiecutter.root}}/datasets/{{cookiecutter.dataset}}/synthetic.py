"""The generated sample of {{cookiecutter.dataset}}: rows with your columns."""

import numpy as np
import pandas as pd


def draw(rows: int, seed: int) -> pd.DataFrame:
    """A generated table with all columns: the outcome follows from Age and Marker, with noise."""
    rng = np.random.default_rng(seed)
    age, marker = rng.uniform(20, 90, rows).round(1), rng.gamma(2, 10, rows).round(1)
    ill = rng.random(rows) < 1 / (1 + np.exp(-(age - 55) / 10 - (marker - 20) / 10))
    return pd.DataFrame(
        {
            "Age": age,
            "Sex": rng.choice(["female", "male"], rows),
            "Marker": np.where(rng.random(rows) < 0.1, np.nan, marker),
            "Patient": rng.integers(1, max(20, rows // 3), rows),
            "Outcome": np.where(rng.random(rows) < 0.02, np.nan, ill),
        }
    )
