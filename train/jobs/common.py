"""What jobs share: the images of a set, their counts and pictures, and the check of its digest."""

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf

from conf.errors import UserError
from conf.schema import (
    ImageDataset,
    ImageDatasetJob,
    ImageModelStudy,
    Part,
    TableDataset,
    plain,
)
from datasets.common.contract import Images
from train.common.data.build import build_images
from train.common.data.pixels import decode
from train.common.data.types import DecodedImages
from train.common.evaluation import words
from train.common.evaluation.figures import gallery
from train.common.tracking.load import Registered, fetch_config
from train.common.tracking.log import Run

OfImages = ImageDatasetJob | ImageModelStudy
Set = TypeVar("Set", bound=Images)

NOTES = {
    Part.train: "These are training {what}: the model has seen them, and the figures say how well "
    "it remembers.",
    Part.validation: "These are validation {what}: the model was chosen on them, so the figures "
    "are optimistic. Test is looked at once, by the training.",
    Part.test: "These are test {what}. Whoever chooses a model or a setting by what is seen here "
    "has no test {what} left.",
}
"""What a reader of a model's study must know."""


def check_digest(digest: str, model: Registered, dataset: ImageDataset | TableDataset) -> None:
    """Raise `UserError` where `model` was trained on other data than those of `digest`."""
    known = str(model.metadata.get("data_digest"))
    if digest != known:
        raise UserError(
            f"{model.uri} was trained on other data than these: digest {known[:16]}, now "
            f"{digest[:16]}; give the settings of its run {model.run_id}: "
            f"{_choices(fetch_config(model), dataset)}"
        )


def _choices(theirs: DictConfig, ours: ImageDataset | TableDataset) -> str:
    """What to put on the command line to see the data that another configuration saw."""
    mine = plain(ours)
    other = OmegaConf.to_container(theirs.dataset)
    assert isinstance(other, dict)
    keys = [key for key in mine if key in other and mine[key] != other[key]]
    words = [f"dataset.{key}={'null' if other[key] is None else other[key]}" for key in keys]
    return " ".join(words) or "they are the same, so the files changed: restore them, or train anew"


def verified(settings: OfImages, run: Run) -> Images:
    """The images of `settings.dataset`, whichever dataset that is; logged to the run."""
    images = build_images(settings.dataset, Path(settings.env.cache))
    run.log_data(images)
    return images


def decoded(settings: ImageDatasetJob, run: Run) -> DecodedImages:
    """The same, with the pixels of the report's pictures."""
    images, cache = verified(settings, run), Path(settings.env.cache)
    size, workers = settings.transform.image_size, settings.transform.workers
    return decode(images, settings.dataset, size, workers, cache)


def counts(images: Images) -> pd.DataFrame:
    """A row a class: images by split where there are splits, in all, share, clusters."""
    table = images.frame
    names = pd.Categorical.from_codes(table["label"], list(images.classes))
    splits = table["split"].where(table["split"] != "", "no split")
    counted = pd.crosstab(names, splits, dropna=False).rename_axis(index="class", columns=None)
    counted = counted.reindex(list(images.classes))
    known = [name for name in ("train", "validation", "test", "no split") if name in counted]
    counted = counted[known].assign(images=counted.sum(axis=1))
    counted["share"] = counted["images"] / len(table)
    clusters = table.groupby("label")["cluster"].nunique()
    counted["clusters"] = clusters.reindex(range(len(counted))).to_numpy()
    return counted.reset_index()


def named(images: Set, settings: OfImages) -> Set:
    """`images` with their classes called as people call them, for figures."""
    return replace(images, classes=tuple(words.titles(settings.dataset).values()))


def facts(images: Images, settings: OfImages) -> dict[str, Any]:
    """What stands at the end of a report on a dataset."""
    sizes = images.frame["cluster"].value_counts()
    return {
        "data": f"{images.name}, {settings.dataset.source.name}",
        "data digest": images.digest,
        "images": len(images.frame),
        "quarantined": len(images.quarantined),
        "byte-identical images in several splits": len(images.duplicates),
        "near-duplicate clusters of two or more": int((sizes > 1).sum()),
        "images in them": int(sizes[sizes > 1].sum()),
    }


def contact_sheets(images: DecodedImages, count: int, seed: int) -> dict[str, Figure]:
    """For each class `count` images drawn by `seed`, of different clusters as far as they go."""
    pixels, rng = images.load(), np.random.default_rng(seed)
    sheets = {}
    for label, name in enumerate(images.classes):
        rows = images.frame.iloc[rng.permutation(len(images.frame))]
        rows = rows[rows["label"] == label]
        repeated = rows["cluster"].duplicated()
        chosen = pd.concat([rows[~repeated], rows[repeated]]).head(count)
        titles = [file[-24:] for file in chosen["file"]]
        sheets[f"contact_sheet_{name}"] = gallery(list(pixels[chosen.index]), titles, "no image")
    return sheets
