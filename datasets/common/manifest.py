"""`manifest.csv`: a file beside the images that lists them, with their labels, splits and groups.

| column | what it holds | where it is left out or empty |
|---|---|---|
| `file` | path from the folder of the manifest, separated by / | it is needed |
| `label` | name of the class | the folder of the file says it |
| `split` | train, validation (or val, valid) or test | the first folder of the file may say it |
| `group` | what must never be separated: a patient, a series | the image has no group |
| `source` | hospital, device or set that the image comes from | `dataset` says it, or nothing |

Other columns are ignored. A pandera schema verifies the rows. The text of each check is its
message, with the values of the row filled in.
"""

from pathlib import Path, PurePosixPath

import pandas as pd
import pandera.pandas as pa

from conf.errors import UserError
from datasets.common.tables.csv_reader import read_csv
from datasets.common.tables.validation import shortened
from datasets.common.types import SPLITS

MANIFEST = "manifest.csv"


def read(path: Path, classes: list[str]) -> pd.DataFrame:
    """The rows of the manifest `path`: file, label (the name), split, group, source.

    All of them are text, "" for none.

    Rows whose label is not in `classes` are included. Raises `UserError` for a file that is not
    CSV, and for rows that break the schema: the message names the file, the row and the value.
    """
    rows = _completed(read_csv(path, ["file"], str), classes)
    try:
        _schema(classes).validate(rows, lazy=True)
    except pa.errors.SchemaErrors as error:
        raise UserError(f"{path}, {_explain(error.failure_cases, rows)}") from None
    split = rows["split"].str.casefold().map(SPLITS).fillna("")
    return rows[["file", "label"]].assign(split=split, group=rows["group"], source=rows["source"])


def _completed(given: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    """`given` with missing labels and splits from the folders; `folder` is that of the class."""
    parts = given["file"].map(lambda file: PurePosixPath(file).parts)
    folder = parts.map(lambda names: next((n for n in names[:-1] if n in classes), ""))
    home = parts.map(lambda names: next((n for n in names[:-1] if n.casefold() not in SPLITS), ""))
    first = parts.map(lambda names: next((n for n in names[:1] if n.casefold() in SPLITS), ""))
    none = pd.Series("", index=given.index)
    label, split, group = (given.get(name, none) for name in ("label", "split", "group"))
    label = label.where(label != "", folder.where(folder != "", home))
    source = given.get("source", given.get("dataset", none))  # merged sets name their datasets
    columns = {
        "label": label,
        "split": split.where(split != "", first),
        "group": group,
        "source": source,
    }
    return given[["file"]].assign(**columns, folder=folder).astype("str")


def _schema(classes: list[str]) -> pa.DataFrameSchema:
    """The checks of completed rows; the split of a row is not checked if its class is left out."""

    def split_is_known(rows: pd.DataFrame) -> pd.Series:
        return ~rows["label"].isin(classes) | rows["split"].str.casefold().isin(["", *SPLITS])

    def all_or_none_have_a_split(rows: pd.DataFrame) -> pd.Series:
        used = rows["label"].isin(classes)
        return ~used | (rows["split"] != "") | (rows.loc[used, "split"] == "").all()

    return pa.DataFrameSchema(
        {
            "file": pa.Column(
                str,
                [
                    pa.Check(
                        _lies_below,
                        element_wise=True,
                        error="file {file!r} must lie below the manifest's folder",
                    ),
                    pa.Check(
                        lambda files: ~files.duplicated(),
                        error="{file} is listed twice: remove one of its rows",
                    ),
                ],
            ),
            "label": pa.Column(
                str,
                pa.Check(
                    lambda labels: labels != "",
                    error="{file} has no label and lies in no folder: give it a label, or move it "
                    "into the folder of its class",
                ),
            ),
        },
        checks=[
            pa.Check(
                lambda rows: (rows["folder"] == "") | (rows["folder"] == rows["label"]),
                error="{file} lies in {folder} and is labelled {label}: correct the label, or move "
                "the file",
            ),
            pa.Check(
                split_is_known,
                error="{file} has split {split!r}; choices: train, validation, test",
            ),
            pa.Check(
                all_or_none_have_a_split,
                error="{file} has no split: the manifest gives a split for some files and none for "
                "others; give one to each file, or to none",
            ),
        ],
    )


def _lies_below(file: str) -> bool:
    parts = PurePosixPath(file).parts
    return bool(parts) and ".." not in parts and not parts[0].startswith("/") and "\0" not in file


def _explain(failures: pd.DataFrame, rows: pd.DataFrame) -> str:
    """What pandera found, check by check, each with its first row."""
    lines = []
    found = failures.drop_duplicates(["check", "index"]).sort_values("index", kind="stable")
    for check, cases in found.groupby("check", sort=False):
        row = int(cases["index"].iat[0])
        more = f" ({len(cases)} such rows)" if len(cases) > 1 else ""
        lines.append(f"row {row + 1}: {str(check).format(**rows.loc[row])}{more}")
    return shortened(lines)
