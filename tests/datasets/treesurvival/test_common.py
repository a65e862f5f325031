"""The contract of the seedlings: messages for a bad table, and rows with a known outcome."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import roc_auc_score

from conf.errors import UserError
from datasets.common.tables import Table
from datasets.treesurvival.dataset import build
from datasets.treesurvival.synthetic import draw
from tests.common import part

Change = Callable[[pd.DataFrame], pd.DataFrame]


def read(path: Path, *overrides: str) -> Table:
    config = part(
        "dataset", "treesurvival", "dataset.source=directory", f"dataset.path={path}", *overrides
    )
    return build(config, path.parent)


def cell(column: str, row: int, value: object) -> Change:
    """Puts `value` into `column` of the given row; row 1 is the first below the header."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame[column] = frame[column].astype(object)
        frame.loc[row - 1, column] = value
        return frame

    return change


BAD_TABLES: dict[str, tuple[Change, str]] = {
    "a missing column": (lambda f: f.drop(columns="Soil"), "has no column Soil"),
    "a misspelled column": (
        lambda f: f.rename(columns={"Light_ISF": "Light_IFS"}),
        "has no column Light_ISF; is 'Light_IFS' meant for it?",
    ),
    "an extra column": (lambda f: f.assign(Notes="x"), "unknown columns: 'Notes'; remove them"),
    "text for a number": (
        cell("Light_ISF", 3, "shady"),
        "column Light_ISF, row 3: 'shady' is not a number",
    ),
    "half a plot": (cell("Plot", 2, 1.5), "column Plot, row 2: '1.5' is not a whole number"),
    "an infinite number": (cell("NSC", 2, "inf"), "column NSC, row 2: 'inf' is not a number"),
    "an unknown category": (
        cell("Species", 7, "Ulmus minor"),
        "column Species, row 7: 'Ulmus minor' is none of Acer saccharum, Prunus serotina",
    ),
    "a number out of range": (
        cell("Light_ISF", 5, 7.0),
        "column Light_ISF, row 5: '7.0' is not between 0 and 1",
    ),
    "no value where one must be": (cell("Lignin", 4, None), "column Lignin, row 4: no value"),
    "no whole number where one must be": (cell("Core", 4, None), "column Core, row 4: no value"),
    "a date in another form": (cell("PlantDate", 1, "2018-06-01"), "column PlantDate, row 1"),
    "a dead seedling that is alive": (
        lambda f: f.assign(Event=1, Harvest=0, Alive="Alive"),
        "row 1 contradicts itself: Event=1 (it died), but Alive='Alive'",
    ),
    "a dead seedling that was taken alive": (
        lambda f: f.assign(Event=1, Harvest=1, Alive="Dead"),
        "Alive='Dead' and Harvest=1 (1 was taken alive)",
    ),
    "nobody who died": (
        lambda f: f.assign(Event=0, Harvest=0, Alive="Alive"),
        "no row of class not_survived",
    ),
    "no rows": (lambda f: f.head(0), "has a header and no rows"),
}


@pytest.mark.parametrize("what", BAD_TABLES)
def test_a_bad_table_says_which_column_value_and_row(what: str, tmp_path: Path) -> None:
    change, message = BAD_TABLES[what]
    path = tmp_path / "trees.csv"
    change(draw(40, 0)).to_csv(path, index=False)
    with pytest.raises(UserError, match=re.escape(message)):
        read(path)


def test_several_faults_are_told_together(tmp_path: Path) -> None:
    frame = cell("Species", 2, "Oak")(cell("Soil", 3, "Mud")(draw(40, 0)))
    frame.to_csv(tmp_path / "trees.csv", index=False)
    with pytest.raises(UserError, match=r"Species, row 2.*\n.*Soil, row 3"):
        read(tmp_path / "trees.csv")


def test_the_path_is_a_file_or_a_folder_with_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected one CSV file in it, found none"):
        read(tmp_path)
    draw(60, 0).to_csv(tmp_path / "a.csv", index=False)
    assert len(read(tmp_path).frame) == len(read(tmp_path / "a.csv").frame)
    (tmp_path / "b.csv").touch()
    with pytest.raises(UserError, match=r"found a\.csv, b\.csv"):
        read(tmp_path)
    with pytest.raises(UserError, match=r"dataset.path=.*c.csv.*no such file"):
        read(tmp_path / "c.csv")
    with pytest.raises(UserError, match="is a table; choices are sample, and directory"):
        build(part("dataset", "treesurvival", "dataset.source=kaggle"), tmp_path)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ("[Species,Time]", "Time is refused: it leaks the outcome"),
        ("[Census]", "Census is refused: it leaks the outcome: it is Time divided"),
        ("[Soil,Moon]", "Moon is no column of the table; choices: Species, Light_ISF"),
        ("[]", r"dataset\.features=\[\] leaves nothing"),
    ],
)
def test_features_that_are_none_are_refused(features: str, message: str, tmp_path: Path) -> None:
    config = part("dataset", "treesurvival", f"dataset.features={features}")
    with pytest.raises(UserError, match=message):
        build(config, tmp_path)


def test_harvested_seedlings_are_censored_and_say_so(tmp_path: Path) -> None:
    frame = draw(200, 1)
    frame.loc[frame.index[frame["Harvest"] == 0][0], "Event"] = np.nan
    frame.to_csv(tmp_path / "trees.csv", index=False)
    table = read(tmp_path / "trees.csv")
    counts = table.quarantined["reason"].value_counts()
    assert counts["harvested alive: it is not known whether it would have died (censored)"] == (
        frame["Harvest"].sum()
    )
    assert counts["Event is missing: it is not known whether it died"] == 1
    known = frame.iloc[table.frame["row"] - 1]
    assert (known["Event"].to_numpy() == table.frame["label"].to_numpy()).all()
    assert (known["Harvest"] == 0).all()


def test_a_row_that_changes_changes_the_digest_and_the_order_does_not(tmp_path: Path) -> None:
    frame = draw(60, 0)
    digests = []
    for changed in (frame, frame[::-1], cell("Light_ISF", 1, 0.5)(frame.copy())):
        changed.to_csv(tmp_path / "trees.csv", index=False)
        digests.append(read(tmp_path / "trees.csv").digest)
    assert digests[0] == digests[1] != digests[2]


def test_the_sample_can_be_learned_but_not_by_heart() -> None:
    config = part("dataset", "treesurvival", "dataset.sample_rows=2000")
    frame = build(config, Path()).frame
    inputs = pd.get_dummies(frame[list(config.features)])
    half = frame["group"] <= 9
    model = ExtraTreesClassifier(100, min_samples_leaf=5, random_state=0)
    model.fit(inputs[half], frame["label"][half])
    auc = roc_auc_score(frame["label"][~half], model.predict_proba(inputs[~half])[:, 1])
    assert 0.7 < auc < 0.9


def test_the_real_table_keeps_the_contract(data_root: Path) -> None:
    path = data_root / "treesurvival"
    if not path.is_dir():
        pytest.skip(f"{path} is no folder: no real table to test on")
    table = read(path)
    assert len(table.frame) == 2078 and len(table.quarantined) == 705
    assert table.frame["label"].sum() == 1587
    assert table.frame["group"].nunique() == 18
