"""The study of a model says how well it refuses images of other kinds."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conf.errors import UserError
from tests.common import configuration
from tests.train.conftest import Trained, model_of
from train.common.tracking.load import Registered
from train.jobs import unlike
from train.jobs.unlike import separated

COUNT, SIDE = 16, 32


@pytest.fixture
def settings(server: str) -> Any:
    return configuration(
        "+pipeline=study_resnet50v2ft", "env=development", "metrics.bootstrap=20",
        f"env.tracking_uri={server}",
    )  # fmt: skip


@pytest.fixture
def model(settings: Any, unbroken: Trained, server: str) -> Iterator[Registered]:
    with model_of(unbroken, settings, server) as found:
        yield found


def studied(settings: Any, unlike: list[Path]) -> Any:
    named = [str(folder) for folder in unlike]
    return replace(settings, study=replace(settings.study, unlike=named))


def test_each_kind_has_a_row_and_an_interval(
    model: Registered, settings: Any, tmp_path: Path
) -> None:
    stripes = tmp_path / "stripes"
    stripes.mkdir()
    for number in range(3):
        lines = np.uint8(np.arange(64) // (number + 1) % 2 * 255)
        Image.fromarray(np.tile(lines, (64, 1))).save(stripes / f"{number}.png")
    (stripes / "notes.txt").write_text("no image")
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), np.uint8)
    table = unlike.table(model, pixels, np.arange(COUNT), studied(settings, [stripes]))
    assert table is not None
    table = table.set_index("kind")
    assert table["images"].to_dict() == {
        "studied images": COUNT, "noise": COUNT, "flat colours": COUNT, "black": 1,
        "blurred": COUNT, "rotated by 90 degrees": COUNT, "inverted": COUNT, "stripes": 3,
    }  # fmt: skip
    assert (table["refused"] + table["sure"]).between(0, 1).all()
    assert (table["unlike training"] <= table["refused"]).all()
    assert table["AUROC"].drop("studied images").str.match(r"[01]\.\d{3} \[").all()


def test_the_auroc_is_one_where_all_are_less_alike_and_half_where_none_differ(
    settings: Any,
) -> None:
    rng = np.random.default_rng(0)
    ours, clusters = rng.random(100), np.arange(200)
    assert separated(ours, 2 + rng.random(100), clusters, settings) == (1, 1, 1)
    value, low, high = separated(ours, rng.random(100), clusters, settings)
    assert low < value < high and low < 0.5 < high


def test_what_cannot_be_judged_says_why(model: Registered, settings: Any, tmp_path: Path) -> None:
    pixels, clusters = np.zeros((2, SIDE, SIDE, 3), np.uint8), np.arange(2)
    with pytest.raises(UserError, match="is no folder; name one with images in it"):
        unlike.table(model, pixels, clusters, studied(settings, [tmp_path / "nowhere"]))
    with pytest.raises(UserError, match="holds no image that can be read"):
        unlike.table(model, pixels, clusters, studied(settings, [tmp_path]))
    older = replace(model, metadata={**model.metadata, "abstention": None})
    assert unlike.table(older, pixels, clusters, settings) is None
    with pytest.raises(UserError, match="measures no unlikeness"):
        unlike.table(older, pixels, clusters, studied(settings, [tmp_path]))
