"""The contract of the table, and the outcome of a row."""

import numpy as np
import pandas as pd
import pandera.pandas as pa

from conf.errors import UserError
from datasets.common.tables import Contract

CENSUS_DAYS = 3.5
"""Days between two censuses."""

SPECIES = ("Acer saccharum", "Prunus serotina", "Quercus alba", "Quercus rubra")
SOILS = (
    "Acer rubrum",
    "Acer saccharum",
    "Populus grandidentata",
    "Prunus serotina",
    "Quercus alba",
    "Quercus rubra",
    "Sterile",
)


def _words(title: str, description: str, *choices: str) -> pa.Column:
    return pa.Column(str, pa.Check.isin(choices), title=title, description=description)


def _number(title: str, description: str, low: float, high: float, null: bool = False) -> pa.Column:
    check = pa.Check.in_range(low, high)
    return pa.Column(float, check, nullable=null, title=title, description=description)


FEATURES = {
    "Species": _words("Species", "Species of the seedling.", *SPECIES),
    "Light_ISF": _number(
        "Light", "Indirect site factor: share of the light of the open sky, 0 to 1.", 0, 1
    ),
    "Light_Cat": _words("Light class", "Light_ISF in three classes.", "Low", "Med", "High"),
    "Core": pa.Column(
        int, pa.Check.isin([2016, 2017]), title="Soil core", description="Year of the soil core."
    ),
    "Soil": _words("Soil", "Species of the tree whose soil was taken, or Sterile.", *SOILS),
    "Sterile": _words("Sterile soil", "Whether the soil was sterilized.", "Non-Sterile", "Sterile"),
    "Conspecific": _words(
        "Conspecific soil",
        "Whether the soil is from a tree of the seedling's own species.",
        "Conspecific",
        "Heterospecific",
        "Sterilized",
    ),
    "Myco": _words("Mycorrhiza", "Mycorrhizal type of the seedling's species.", "AMF", "EMF"),
    "SoilMyco": _words(
        "Soil mycorrhiza", "Mycorrhizal type of the soil's tree.", "AMF", "EMF", "Sterile"
    ),
    "AMF": _number(
        "AMF", "Fine roots colonized by arbuscular mycorrhizal fungi, in percent.", 0, 100
    ),
    "EMF": _number(
        "EMF",
        "Root tips colonized by ectomycorrhizal fungi, in percent; empty for AMF species.",
        0,
        100,
        null=True,
    ),
    "Phenolics": _number(
        "Phenolics", "Phenolics, in nmol of gallic acid per mg of dry extract.", -10, 100
    ),
    "Lignin": _number("Lignin", "Lignin, in percent of dry mass.", 0, 100),
    "NSC": _number("NSC", "Nonstructural carbohydrates, in percent of dry mass.", 0, 100),
}

OTHERS: dict[str, tuple[pa.Column, str]] = {
    "No": (pa.Column(int), "it is a running number"),
    "Plot": (
        pa.Column(int, pa.Check.in_range(1, 1000)),
        "it is the group that rows are split by, and a new seedling stands in a new plot",
    ),
    "Subplot": (
        _words("", "", *"ABCDE"),
        "it names a place inside one plot and means nothing in another",
    ),
    "Adult": (pa.Column(str), "it names one tree of this experiment and means nothing elsewhere"),
    "PlantDate": (
        pa.Column(str, pa.Check.str_matches(r"^\d{1,2}/\d{1,2}/\d{2}$")),
        "it is a day of one spring and means nothing in another year",
    ),
    "Census": (
        pa.Column(int, pa.Check.in_range(0, 1000)),
        f"it leaks the outcome: it is Time divided by {CENSUS_DAYS} days",
    ),
    "Time": (
        _number("", "", 0, 3650),
        "it leaks the outcome: the days until death, or until the end for who survived",
    ),
    "Event": (
        pa.Column(float, pa.Check.isin([0, 1]), nullable=True),
        "it is the outcome: 1 for a seedling that died",
    ),
    "Harvest": (
        pa.Column(int, pa.Check.isin([0, 1])),
        "it leaks the outcome: only a living seedling was harvested",
    ),
    "Alive": (_words("", "", "Alive", "Dead"), "it is the outcome in words"),
}
"""Columns that are no feature, each with the reason."""

CONTRACT = Contract(
    columns=pa.DataFrameSchema(FEATURES | {name: column for name, (column, _) in OTHERS.items()}),
    features=tuple(FEATURES),
    refused={name: reason for name, (_, reason) in OTHERS.items()},
    group="Plot",
)


def outcomes(frame: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Class numbers of rows, 1 for one that died; and why an outcome is not known, else "".

    Raises `UserError` for a row that died and is alive, or was taken alive.
    """
    wrong = (frame["Event"] == 1) & ((frame["Alive"] == "Alive") | (frame["Harvest"] == 1))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        event, alive, harvest = frame.iloc[row][["Event", "Alive", "Harvest"]]
        raise UserError(
            f"row {row + 1} contradicts itself: Event={event:.0f} (it died), but Alive={alive!r} "
            f"and Harvest={harvest} (1 was taken alive)"
        )
    harvested = (frame["Harvest"] == 1) & (frame["Event"] != 1)
    reasons = pd.Series("", index=frame.index)
    reasons[frame["Event"].isna()] = "Event is missing: it is not known whether it died"
    reasons[harvested] = "harvested alive: it is not known whether it would have died (censored)"
    return frame["Event"], reasons
