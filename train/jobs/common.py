"""What jobs share: the images of a set, their counts and pictures, and the check of its digest."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf

from conf.errors import UserError
from conf.schema import Part
from train.common.data.pixels import gather_named
from train.common.data.types import Samples
from train.common.evaluation import words
from train.common.evaluation.figures import gallery
from train.common.tracking.load import Registered, fetch_config
from train.common.tracking.log import log_data

NOTES = {
    Part.train: "These are training {what}: the model has seen them, and the figures say how well "
    "it remembers.",
    Part.validation: "These are validation {what}: the model was chosen on them, so the figures "
    "are optimistic. Test is looked at once, by the training.",
    Part.test: "These are test {what}. Whoever chooses a model or a setting by what is seen here "
    "has no test {what} left.",
}
"""What a reader of a model's study must know."""


def check_digest(digest: str, model: Registered, config: DictConfig) -> None:
    """Raise `UserError` where `model` was trained on other data than those of `digest`."""
    known = str(model.metadata.get("data_digest"))
    if digest != known:
        raise UserError(
            f"{model.uri} was trained on other data than these: digest {known[:16]}, now "
            f"{digest[:16]}; give the settings of its run {model.run_id}: "
            f"{_settings(fetch_config(model), config)}"
        )


def _settings(theirs: DictConfig, ours: DictConfig) -> str:
    """What to put on the command line to see the data that another configuration saw."""
    mine = OmegaConf.to_container(ours.dataset, enum_to_str=True)
    other = OmegaConf.to_container(theirs.dataset)
    assert isinstance(mine, dict) and isinstance(other, dict)
    keys = [str(key) for key in mine if key in other and mine[key] != other[key]]
    words = [f"dataset.{key}={'null' if other[key] is None else other[key]}" for key in keys]
    return " ".join(words) or "they are the same, so the files changed: restore them, or train anew"


def verified(config: DictConfig) -> Samples:
    """The images of `config.dataset`, whichever dataset that is; logged to the run."""
    samples = gather_named(config)
    log_data(samples)
    return samples


def counts(samples: Samples) -> pd.DataFrame:
    """A row a class: images by split where there are splits, in all, share, clusters."""
    table = samples.table
    names = pd.Categorical.from_codes(table["label"], list(samples.classes))
    splits = table["split"].where(table["split"] != "", "no split")
    counted = pd.crosstab(names, splits, dropna=False).rename_axis(index="class", columns=None)
    counted = counted.reindex(list(samples.classes))
    known = [name for name in ("train", "validation", "test", "no split") if name in counted]
    counted = counted[known].assign(images=counted.sum(axis=1))
    counted["share"] = counted["images"] / len(table)
    clusters = table.groupby("label")["cluster"].nunique()
    counted["clusters"] = clusters.reindex(range(len(counted))).to_numpy()
    return counted.reset_index()


def named(samples: Samples, config: DictConfig) -> Samples:
    """`samples` with their classes called as people call them, for figures."""
    return replace(samples, classes=tuple(words.titles(config.dataset).values()))


def facts(samples: Samples, config: DictConfig) -> dict[str, Any]:
    """What stands at the end of a report on a dataset."""
    sizes = samples.table["cluster"].value_counts()
    return {
        "data": f"{samples.name}, {config.dataset.source.name}",
        "data digest": samples.digest,
        "images": len(samples.table),
        "quarantined": len(samples.quarantined),
        "byte-identical images in several splits": len(samples.duplicates),
        "near-duplicate clusters of two or more": int((sizes > 1).sum()),
        "images in them": int(sizes[sizes > 1].sum()),
    }


def contact_sheets(samples: Samples, count: int, seed: int) -> dict[str, Figure]:
    """For each class `count` images drawn by `seed`, of different clusters as far as they go."""
    pixels, rng = samples.load(), np.random.default_rng(seed)
    sheets = {}
    for label, name in enumerate(samples.classes):
        rows = samples.table.iloc[rng.permutation(len(samples.table))]
        rows = rows[rows["label"] == label]
        repeated = rows["cluster"].duplicated()
        chosen = pd.concat([rows[~repeated], rows[repeated]]).head(count)
        titles = [file[-24:] for file in chosen["file"]]
        sheets[f"contact_sheet_{name}"] = gallery(list(pixels[chosen.index]), titles, "no image")
    return sheets
