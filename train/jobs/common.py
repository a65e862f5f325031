"""Code that jobs share: images of a set, counts, contact sheets, check of the digest."""

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf

from conf.errors import UserError
from conf.schema import (
    ImageComparison,
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

OfImages = ImageDatasetJob | ImageModelStudy | ImageComparison
Set = TypeVar("Set", bound=Images)

NOTES = {
    Part.train: "These are training {what}: the model has seen them, so the figures measure what "
    "it remembers.",
    Part.validation: "These are validation {what}: the model was chosen on them, so the figures "
    "are optimistic. Only the training evaluates the test {what}, once.",
    Part.test: "These are test {what}. After a model or a setting is chosen by this report, they "
    "are no longer test {what}.",
}
"""Warnings in the report of a model's study."""


def check_digest(digest: str, model: Registered, dataset: ImageDataset | TableDataset) -> None:
    """Raise `UserError` if `model` was trained on data with another digest than `digest`."""
    known = str(model.metadata.get("data_digest"))
    if digest != known:
        raise UserError(
            f"{model.uri} was trained on other data than these: digest {known[:16]}, now "
            f"{digest[:16]}; give the settings of its run {model.run_id}: "
            f"{_choices(fetch_config(model), dataset)}"
        )


def _choices(theirs: DictConfig, ours: ImageDataset | TableDataset) -> str:
    """The settings for the command line that give the data of another configuration."""
    mine = plain(ours)
    other = OmegaConf.to_container(theirs.dataset)
    assert isinstance(other, dict)
    keys = [key for key in mine if key in other and mine[key] != other[key]]
    words = [f"dataset.{key}={'null' if other[key] is None else other[key]}" for key in keys]
    return " ".join(words) or "they are the same, so the files changed: restore them, or train anew"


def verified(settings: OfImages, run: Run) -> Images:
    """The images of `settings.dataset`, for any dataset; logged to the run."""
    images = build_images(settings.dataset, Path(settings.env.cache))
    run.log_data(images)
    return images


def decoded(settings: ImageDatasetJob, run: Run) -> DecodedImages:
    """The images of `settings.dataset`, with pixels for the pictures of the report."""
    images = verified(settings, run)
    return decode(images, settings.dataset, settings.transform, Path(settings.env.cache))


def counts(images: Images) -> pd.DataFrame:
    """One row per class: images by split if there are splits, all images, share, clusters."""
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
    """`images` with readable class names, for figures."""
    return replace(images, classes=tuple(words.titles(settings.dataset).values()))


def facts(images: Images, settings: OfImages) -> dict[str, Any]:
    """The facts at the end of a report on a dataset."""
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
    """`count` random images of each class, of different clusters if there are enough."""
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
