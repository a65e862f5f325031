"""The leak gate finds what is planted, and nothing in a clean set."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from conf.errors import UserError
from tests.common import configuration, new_store
from tests.datasets.common import picture
from train.common.data.build import build_images
from train.common.data.pixels import decode
from train.common.data.split import split_images
from train.common.data.types import DecodedImages, Report, Splits
from train.common.evaluation import leaks
from train.common.evaluation.report import render
from train.common.gate import Checked, gate, pooled, with_gate
from train.common.tracking.log import tracked_run

CLASSES = ("Normal", "Tumor")
PER_CLASS = 100
METADATA, MASKED = "probe of metadata", "probe of masked images"
OFFICIAL = {"train": 8, "validation": 6, "test": 6}
"""Images of each class and split."""
Change = Callable[[np.ndarray], np.ndarray]


def drawn(root: Path, tumor: Change = np.asarray, quality: int = 90, width: int = 48) -> Path:
    """Pictures that tell no class; those of Tumor are changed, or saved, in another way."""
    for label, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for number in range(PER_CLASS):
            pixels = picture(1000 * label + number, width if label else 48)
            image = Image.fromarray(tumor(pixels) if label else pixels)
            image.save(root / name / f"{number}.jpg", quality=quality if label else 90)
    return root


def official(root: Path) -> Path:
    """Pictures in official splits, of which no two are alike."""
    for i, (split, count) in enumerate(OFFICIAL.items()):
        for j, name in enumerate(CLASSES):
            (root / split / name).mkdir(parents=True)
            for k in range(count):
                image = Image.fromarray(picture(1000 * i + 100 * j + k))
                image.save(root / split / name / f"{k}.png")
    return root


def training(root: Path, *words: str) -> Any:
    """The settings of a training on the folder `root`."""
    return configuration(
        "+pipeline=train_vgg16ft", "dataset.source=directory", f"dataset.path={root}",
        "dataset.limit=null", f"env.cache={root.parent / 'cache'}", "env.limits.image_size=32",
        "split.validation=0.4", "metrics.bootstrap=200", *words,
    )  # fmt: skip


def splits_of(settings: Any) -> Splits[DecodedImages]:
    cache = Path(settings.env.cache)
    images = build_images(settings.dataset, cache)
    pixels = decode(images, settings.dataset, settings.transform, cache)
    return split_images(pixels, settings.split)


def checked(settings: Any) -> dict[str, leaks.Check]:
    return {check.name: check for check in leaks.check(splits_of(settings), settings)}


def test_a_clean_set_passes(tmp_path: Path) -> None:
    thresholds = ["gate.metadata=0", "gate.masked=0"]
    found = checked(training(drawn(tmp_path / "clean"), *thresholds))
    assert {check.verdict for check in found.values()} == {"passed"}
    assert not any(check.said for check in found.values())
    assert found[METADATA].low <= 0.5 <= found[METADATA].high


def test_the_quality_of_the_files_of_one_class_is_found(tmp_path: Path) -> None:
    root = drawn(tmp_path / "saved", quality=70)
    check = checked(training(root, "gate.metadata=0.3"))[METADATA]
    assert check.failed and check.low > 0.9
    assert "Metadata alone" in check.said and "chance is 0.500" in check.said
    assert "gate.metadata=0.5" in check.way_out


def test_the_size_of_the_images_of_one_class_is_found(tmp_path: Path) -> None:
    root = drawn(tmp_path / "wide", width=56)
    assert checked(training(root))[METADATA].low > 0.9


def test_a_frame_around_the_images_of_one_class_is_found(tmp_path: Path) -> None:
    def framed(pixels: np.ndarray) -> np.ndarray:
        return np.pad(pixels[2:-2, 2:-2], ((2, 2), (2, 2), (0, 0)), constant_values=255)

    check = checked(training(drawn(tmp_path / "framed", framed), "gate.masked=0.2"))[MASKED]
    assert check.verdict == "failed" and check.low > 0.9
    accepted = checked(training(tmp_path / "framed", "gate.masked=0.5"))[MASKED]
    assert accepted.verdict == "passed"
    assert checked(training(tmp_path / "framed"))[MASKED].verdict == "reported"


def test_shuffled_labels_come_out_at_chance(tmp_path: Path) -> None:
    settings = training(drawn(tmp_path / "wide", width=56))
    splits = splits_of(settings)
    labels = np.random.default_rng(0).permutation(splits.data.frame["label"])
    images = replace(splits.data, frame=splits.data.frame.assign(label=labels))
    for check in leaks.shortcuts(replace(splits, data=images), settings):
        assert check.low <= check.chance and not check.said, check


def test_probes_read_at_most_so_many_images_and_none_of_test(tmp_path: Path) -> None:
    settings = training(drawn(tmp_path / "wide", width=56), "gate.images=30")
    splits = splits_of(settings)
    for row in splits.test:
        Path(splits.data.frame["path"].iloc[row]).unlink()
    metadata, _ = leaks.shortcuts(splits, settings)
    assert metadata.low > 0.9 and "of 30 validation images" in metadata.said


@pytest.mark.parametrize("quality", [100, 85])
def test_a_copy_in_another_official_split_is_found(tmp_path: Path, quality: int) -> None:
    root = official(tmp_path / "set")
    source, copy = root / "train" / "Tumor" / "3.png", root / "test" / "Tumor" / "copy.jpg"
    Image.open(source).save(copy, quality=quality)
    found = checked(training(root, "split.by=official"))
    check = found["near-duplicates across splits"]
    assert (check.value, check.verdict) == (1, "failed")
    assert "train/Tumor/3.png (train) and test/Tumor/copy.jpg (test)" in check.said
    assert "1 test images among them" in check.said
    assert found["exact duplicates across splits"].value == 0
    one = checked(training(root, "split.by=official", "gate.crossing=1"))
    assert one["near-duplicates across splits"].verdict == "passed"


def test_byte_for_byte_copies_and_groups_are_counted_across_a_random_split(tmp_path: Path) -> None:
    root = drawn(tmp_path / "set")
    for number in range(0, PER_CLASS, 2):
        path = root / "Normal" / f"{number}.jpg"
        path.write_bytes((root / "Normal" / f"{number + 1}.jpg").read_bytes())
    rows = [(f"{name}/{k}.jpg", f"{name}{k // 10}") for name in CLASSES for k in range(PER_CLASS)]
    pd.DataFrame(rows, columns=["file", "group"]).to_csv(root / "manifest.csv", index=False)
    found = checked(training(root, "split.by=random"))
    exact, groups = found["exact duplicates across splits"], found["groups across splits"]
    assert exact.value > 10 and groups.value == 20
    assert exact.verdict == groups.verdict == "failed, accepted"
    assert exact.accepted == "split.by=random"
    apart = checked(training(root, "split.by=cluster"))
    assert {check.value for check in apart.values() if check.setting == "crossing"} == {0}


def test_a_copy_with_another_label_is_found(tmp_path: Path) -> None:
    root = drawn(tmp_path / "set")
    Image.open(root / "Normal" / "7.jpg").save(root / "Tumor" / "again.png")
    check = checked(training(root))["contradicting labels"]
    assert (check.value, check.verdict) == (1, "failed")
    assert "Normal/7.jpg and Tumor/again.png" in check.said
    assert checked(training(root, "gate.contradictions=1"))[check.name].verdict == "passed"


def test_images_that_only_a_group_joins_do_not_contradict_each_other(tmp_path: Path) -> None:
    root = drawn(tmp_path / "set")
    rows = [(f"{name}/{k}.jpg", str(k)) for name in CLASSES for k in range(PER_CLASS)]
    pd.DataFrame(rows, columns=["file", "group"]).to_csv(root / "manifest.csv", index=False)
    assert checked(training(root))["contradicting labels"].value == 0


def through_the_gate(settings: Any) -> Checked:
    with tracked_run(settings) as run:
        return gate(splits_of(settings), settings, run)


def last_run(settings: Any) -> Any:
    client = mlflow.MlflowClient(settings.env.tracking_uri)
    names = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(names, max_results=1)[0]


@pytest.fixture
def crossing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A set with a near-duplicate across official splits, and an empty store in its folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", new_store(tmp_path))
    root = official(tmp_path / "set")
    Image.open(root / "train" / "Tumor" / "3.png").save(root / "test" / "Tumor" / "copy.jpg")
    return root


def test_a_failed_gate_stops_production(crossing: Path) -> None:
    settings = training(crossing, "split.by=official", "env=production")
    with pytest.raises(UserError) as raised:
        through_the_gate(settings)
    message = str(raised.value)
    assert "1 near-duplicate clusters" in message and "gate.crossing=0" in message
    assert "split.by=cluster" in message and "split.allow_crossing=true" in message
    run = last_run(settings)
    assert (run.data.tags["gate"], run.info.status) == ("failed", "FAILED")


@pytest.mark.parametrize(
    "words", [["env=development"], ["env=production", "split.allow_crossing=true"]]
)
def test_a_failed_gate_is_a_warning_in_development_and_where_it_is_accepted(
    crossing: Path, words: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    settings = training(crossing, "split.by=official", *words)
    result = through_the_gate(settings)
    assert result.tag == "failed" == last_run(settings).data.tags["gate"]
    assert "1 near-duplicate clusters" in caplog.text
    report = with_gate(Report({}, {}, {}), result)
    assert "near-duplicates across splits" in report.notes[0]
    assert ("accepted by split.allow_crossing=true" in report.notes[0]) == (len(words) == 2)
    rows = report.tables["gate"].set_index("check")["verdict"]
    assert rows["near-duplicates across splits"].startswith("failed")
    page = render("title", {}, "", report, {}, {})
    assert "<td>1</td>" in page and "1.000</td>" not in page


def test_a_random_split_runs_in_production_with_a_warning(
    crossing: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(4):
        source = crossing / "train" / "Tumor" / f"{number}.png"
        for copy in "abcdefgh":
            Image.open(source).save(source.with_name(f"{number}{copy}.png"), compress_level=1)
    result = through_the_gate(training(crossing, "split.by=random", "env=production"))
    assert result.tag == "failed" and "accepted by split.by=random" in result.notes[0]
    assert "near-duplicate clusters have images" in caplog.text


def test_a_gate_that_is_off_checks_nothing_and_says_so(crossing: Path) -> None:
    settings = training(crossing, "split.by=official", "env=production", "gate.enabled=false")
    result = through_the_gate(settings)
    assert result.tag == "off" == last_run(settings).data.tags["gate"]
    report = with_gate(Report({}, {}, {}), result)
    assert "gate" not in report.tables and "gate.enabled=false" in report.notes[0]


def test_folds_pass_together() -> None:
    table = leaks.table([leaks.Check("near-duplicates across splits", "crossing", 0, 0)])
    assert pooled(["passed", "failed"], {0: table, 1: table}).tag == "failed"
    assert pooled(["passed", "off"], {0: table}).tag == "off"
    probe = leaks.Check("probe of metadata", "metadata", 0.5, None, low=0.4, high=0.6, chance=0.25)
    counted = leaks.Check("contradicting labels", "contradictions", 3, None)
    written = leaks.table([probe, counted]).to_csv(index=False)
    both = pooled(["passed", "passed"], {k: pd.read_csv(io.StringIO(written)) for k in range(2)})
    assert both.tag == "passed" and both.table["fold"].tolist() == [0, 0, 1, 1]
    assert both.table["value"].tolist() == [0.5, "3"] * 2
    assert both.table["threshold"].tolist() == [""] * 4
