"""The generated sample of treesurvival: seedlings whose features tell part of their outcome."""

import numpy as np
import pandas as pd

from datasets.treesurvival.common import CENSUS_DAYS, SOILS, SPECIES

LAST_DAY = 115.5
"""Day of the last census; who lives then has survived."""
HARVEST_DAY = 24.5
"""Day of the harvest."""
AMF_SPECIES = ("Acer rubrum", "Acer saccharum", "Prunus serotina")
"""Species that live with arbuscular mycorrhizal fungi; the others are ectomycorrhizal."""


def draw(rows: int, seed: int) -> pd.DataFrame:
    """A generated table with all columns: `rows` seedlings in 18 plots.

    The logit of dying increases with shade and with soil of the own species, and decreases with
    lignin. It depends on the species and on the plot, and no feature shows the effect of the plot.
    """
    rng = np.random.default_rng(seed)

    def chosen(*choices: object, share: list[float] | None = None) -> np.ndarray:
        return rng.choice(np.array(choices, dtype=object), rows, p=share)

    plot, species, soil = rng.integers(1, 19, rows), chosen(*SPECIES), chosen(*SOILS)
    light = np.clip(rng.normal(0.085, 0.026, rows), 0.02, 0.2).round(3)
    emf, sterile = ~np.isin(species, AMF_SPECIES), soil == "Sterile"
    soil_emf = ~np.isin(soil, AMF_SPECIES) & ~sterile
    own = soil == species
    lignin = np.clip(rng.normal(np.where(emf, 21, 11), 4), 2, 40).round(2)
    logit = (
        pd.Series(species).map(dict(zip(SPECIES, (2.2, 1.8, -0.6, -0.3), strict=True))).to_numpy()
        - 20 * (light - 0.085)
        + 0.9 * own
        - 0.08 * (lignin - 16)
        + rng.normal(0, 0.4, 19)[plot]
    )
    dies = rng.random(rows) < 1 / (1 + np.exp(-logit))
    day = np.where(dies, CENSUS_DAYS * rng.integers(4, 33, rows), LAST_DAY)
    harvest = (rng.random(rows) < 0.25) & (day > HARVEST_DAY)
    day = np.where(harvest, HARVEST_DAY, day)
    event = (dies & ~harvest).astype(float)
    return pd.DataFrame(
        {
            "No": np.arange(1, rows + 1),
            "Plot": plot,
            "Subplot": chosen(*"ABCDE"),
            "Species": species,
            "Light_ISF": light,
            "Light_Cat": np.select([light < 0.075, light < 0.115], ["Low", "Med"], "High"),
            "Core": chosen(2016, 2017, share=[0.35, 0.65]).astype(int),
            "Soil": soil,
            "Adult": [f"tree {name}" for name in soil],
            "Sterile": np.where(sterile, "Sterile", "Non-Sterile"),
            "Conspecific": np.select(
                [sterile, own], ["Sterilized", "Conspecific"], "Heterospecific"
            ),
            "Myco": np.where(emf, "EMF", "AMF"),
            "SoilMyco": np.select([sterile, soil_emf], ["Sterile", "EMF"], "AMF"),
            "PlantDate": [f"6/{number}/18" for number in rng.integers(1, 20, rows)],
            "AMF": np.clip(rng.normal(20, 12, rows), 0, 100).round(2),
            "EMF": np.where(emf, np.clip(rng.normal(26, 16, rows), 0, 100).round(2), np.nan),
            "Phenolics": rng.normal(np.where(emf, 3.7, 0.2), 0.7).round(2),
            "Lignin": lignin,
            "NSC": np.clip(rng.normal(14, 4, rows), 3, 40).round(2),
            "Census": (day / CENSUS_DAYS).astype(int),
            "Time": day,
            "Event": event,
            "Harvest": harvest.astype(int),
            "Alive": np.where((day == LAST_DAY) & ~dies, "Alive", "Dead"),
        }
    )
