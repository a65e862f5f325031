"""The model card: what the run knows, what the dataset says once, and what is missing."""

import re
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure

from conf.schema import About
from tests.common import configuration, part
from train.common.data.types import Report
from train.common.evaluation.card import card, page
from train.common.evaluation.guidelines import CLAIM, TRIPOD, count

RUN = {"run": "0123abc", "git_revision": "f" * 40, "lock_sha256": "e" * 64, "memory_gib": "8"}
OVERALL = pd.DataFrame({"metric": ["accuracy"], "value": [0.9], "low": [0.85], "high": [0.94]})
CLASSES = pd.DataFrame({"class": ["2_polyps"], "support": [40], "recall": ["0.9 [0.8, 1.0]"]})


@pytest.fixture
def settings() -> Any:
    return configuration("+pipeline=train_resnet50v2ft")


def report(**more: Any) -> Report:
    return Report(
        scalars={"test_accuracy": 0.9, "test_f1_macro": 0.88},
        tables={"overall": OVERALL, "per_class": CLASSES} | more,
        figures={},
        notes=["A <script>alert(1)</script> note | with a bar."],
        facts={"data digest": "d" * 16, "split by": "cluster", "intervals": "95%"},
        summary=["Right for 90 of 100 images."],
    )


def test_the_metadata_block_is_that_of_hugging_face(settings: Any) -> None:
    _, block, _ = card(settings, report(), RUN, "title").split("---\n", 2)
    known = yaml.safe_load(block)
    assert known["license"] == "other"
    assert known["pipeline_tag"] == "image-classification"
    [model] = known["model-index"]
    assert model["name"] == "resnet50v2ft-kvasir4"
    [result] = model["results"]
    assert result["metrics"] == [
        {"type": "accuracy", "value": 0.9},
        {"type": "f1", "value": 0.88},
    ]


def test_the_card_says_what_the_run_and_the_dataset_know(settings: Any) -> None:
    text = card(settings, report(), RUN, "title")
    about = settings.dataset.about
    told = [about.source, about.citation, about.intended_use, *about.limits, "d" * 16, "f" * 40]
    for known in (*told, "e" * 64, "0.900 [0.850, 0.940]", "0.9 [0.8, 1.0]", "Split by: cluster"):
        assert known in text, known
    assert "memory" not in text
    assert "never abstains" in text and "No temperature was fitted" in text


def test_calibration_and_abstention_stand_in_it_where_they_were_measured(settings: Any) -> None:
    errors = pd.DataFrame({"version": ["after"], "measure": ["ece"], "value": [0.0312]})
    costs = pd.DataFrame({"class": ["Polyps"], "refused": [0.1]})
    text = card(settings, report(calibration_errors=errors, abstention=costs), RUN, "title")
    assert "| after | ece | 0.031 |" in text
    assert "| Polyps | 0.100 |" in text
    assert "never abstains" not in text


def test_what_nobody_stated_is_said_to_be_missing(settings: Any) -> None:
    bare = replace(settings, dataset=replace(settings.dataset, about=About()))
    text = card(bare, report(), RUN, "title")
    assert "license: unknown" in text
    for name in ("source", "licence", "citation", "intended_use"):
        assert f"(`dataset.about.{name}`)" in text


def test_the_page_is_the_card_without_its_block_and_runs_nothing(settings: Any) -> None:
    html = page(card(settings, report(), RUN, "title"))
    assert "<h1>resnet50v2ft-kvasir4</h1>" in html
    assert "model-index" not in html
    assert "<script" not in html and "&lt;script&gt;" in html
    assert "<td>0.900 [0.850, 0.940]</td>" in html


@pytest.mark.parametrize("dataset", ["kidney2", "kvasir4", "treesurvival"])
def test_every_dataset_states_what_its_card_needs(dataset: str) -> None:
    about = part("dataset", dataset).about
    assert all((about.source, about.licence, about.citation, about.intended_use, about.limits))


def test_every_item_of_the_guidelines_stands_in_the_card(settings: Any) -> None:
    assert [item.number for item in CLAIM] == [str(number) for number in range(1, 45)]
    main = {int(re.match(r"\d+", item.number)[0]) for item in TRIPOD}  # type: ignore[index]
    assert main == set(range(1, 28))
    text = card(settings, report(), RUN, "title")
    _, _, claim, tripod = re.split("## Reporting guidelines|### ", text)
    for section, items in ((claim, CLAIM), (tripod, TRIPOD)):
        assert all(f"| {item.number} | {item.title} |" in section for item in items)
    assert "<td>De-identification</td>" in page(text) and "<td>Fairness</td>" in page(text)
    assert "| 11 | De-identification | **missing**: only who collected the data knows |" in claim
    assert "| 3b | Background: population and purpose | Intended use; **missing**: the" in tripod
    table = configuration("+pipeline=train_treesurvival")
    assert "CLAIM" not in card(table, report(), RUN, "title")


def test_an_answer_counts_only_if_the_run_or_the_dataset_has_it(settings: Any) -> None:
    bare = replace(settings, dataset=replace(settings.dataset, about=About()))
    text = card(bare, report(), RUN, "title")
    assert "| 7 | Data sources | **missing**: not stated (about.source) |" in text
    assert "| 31 | Explainability | **missing**: not in this run (grad_cam) |" in text
    more = replace(report(by_source=CLASSES), figures={"grad_cam": Figure()})
    full = card(settings, more, RUN, "title")
    assert "| 7 | Data sources | Data |" in full and "| 31 | Explainability | Grad-CAM" in full
    assert "| 23b | Heterogeneity of performance | by source in the report |" in full
    counted = re.findall(r"(\d+) of 44 are covered", text + full)
    assert int(counted[0]) < int(counted[1])
    assert count(CLAIM, set()) in text
