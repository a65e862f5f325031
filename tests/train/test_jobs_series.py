"""The study proposes to group slices whose series nothing names."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from conf.schema import Transform
from datasets.common.contract import NO_GROUP
from tests.common import configuration
from train.common.data.build import build_images
from train.common.data.pixels import decode
from train.common.data.types import DecodedImages
from train.jobs.image_dataset_study import unnamed_series


def sample(pipeline: str, folder: Path) -> DecodedImages:
    """A generated sample, numbered in its order."""
    settings = configuration(
        f"+pipeline={pipeline}", "dataset.sample_images=20", f"env.cache={folder}"
    )
    found = build_images(settings.dataset, folder)
    images = decode(found, settings.dataset, Transform(image_size=64), folder)
    frame = images.frame
    names = [f"{label}/slice-{row}.png" for row, label in enumerate(frame["label"])]
    return replace(images, frame=frame.assign(file=names))


def test_it_proposes_to_group_slices_without_groups(tmp_path: Path) -> None:
    slices = sample("study_kidney2", tmp_path)
    assert unnamed_series(slices) == []
    series = slices.frame["group"].nunique()
    ungrouped = replace(slices, frame=slices.frame.assign(group=np.int64(NO_GROUP)))
    [note] = unnamed_series(ungrouped)
    assert "dataset.series=adjacent" in note and f"into {series}, which" in note


def test_it_proposes_nothing_for_frames(tmp_path: Path) -> None:
    frames = sample("study_kvasir4", tmp_path)
    assert (frames.frame["group"] == NO_GROUP).all()
    assert unnamed_series(frames) == []
