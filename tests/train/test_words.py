"""The report reads itself: given figures become the right sentence, and a page that says it all."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from conf.schema import Metrics, Promotion
from tests.common import configuration, datasets, deployments, part
from train.common.data.types import Report
from train.common.evaluation import figures
from train.common.evaluation.metrics import intervals
from train.common.evaluation.next_steps import deployed, serving
from train.common.evaluation.report import alternative, render, render_failure
from train.common.evaluation.words import (
    FEW_GROUPS,
    Judged,
    few_groups,
    look_first,
    summary,
    titles,
)

NAMES = ("Normal", "Polyps", "Colitis")
SHOWN = ("curves", "confusion_matrix", "worst_mistakes")
RUN = "a" * 32
RESAMPLES = 60


def judged(
    labels: np.ndarray, answers: np.ndarray, groups: int = 0, sure: float = 0.8, **told: Any
) -> Judged:
    """`answers`, each given with the probability `sure`; `groups` independent ones, else all."""
    names = NAMES[: max(2, labels.max() + 1)]
    probabilities = np.full((len(labels), len(names)), (1 - sure) / (len(names) - 1))
    probabilities[np.arange(len(labels)), answers] = sure
    clusters = np.arange(len(labels)) % groups if groups else np.arange(len(labels))
    metrics = intervals(labels, probabilities, clusters, names, Metrics(bootstrap=RESAMPLES), 0)
    return Judged(labels, probabilities, metrics, names, len(set(clusters)), **told)


def skilled(count: int, skill: float, shares: tuple[float, ...], seed: int = 0) -> Judged:
    """Answers that are right by skill with probability `skill`, and else drawn by `shares`."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(len(shares), count, p=shares)
    guessed = rng.choice(len(shares), count, p=shares)
    return judged(labels, np.where(rng.random(count) < skill, labels, guessed))


def test_a_good_model_is_said_to_be_better_than_the_majority_and_than_guessing() -> None:
    good = skilled(600, 0.9, (0.5, 0.3, 0.2))
    text = " ".join(summary(good))
    value, low, high = good.metrics.loc["accuracy"]
    assert (
        f"The model is right for {100 * value:.1f} % of 600 test images "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f} %)."
    ) in text
    share = f"{100 * good.counts.max() / 600:.1f} %"
    assert f"better than always predicting Normal, the most frequent class ({share})" in text
    assert "than guessing (33.3 %)" in text
    assert "600 independent near-duplicate clusters." in text
    assert "chance" not in text


@pytest.mark.slow
def test_shuffled_labels_are_said_to_be_at_chance() -> None:
    said = [" ".join(summary(skilled(300, 0, (0.5, 0.3, 0.2), seed))) for seed in range(12)]
    at_chance = sum("no better than chance" in text for text in said)
    assert at_chance >= 9  # percentile intervals miss chance in 1 of 13
    assert all("better than always" not in text for text in said)


def test_a_model_with_one_answer_is_said_to_give_it_every_time() -> None:
    labels = np.array([0] * 60 + [1] * 40)
    text = " ".join(summary(judged(labels, np.zeros(100, int))))
    assert "no better than chance" in text
    assert "always predicting Normal, the most frequent class, would be right for 60.0 %" in text
    assert "It predicted Normal every time." in text
    assert "The weakest class is Polyps: 0 of 40 are recognised (0.0 %)" in text


def test_a_model_that_learned_but_loses_to_the_majority_is_not_called_better_than_it() -> None:
    labels = np.array([0] * 180 + [1] * 20)
    answers = np.r_[np.zeros(140, int), np.ones(40, int), np.ones(18, int), np.zeros(2, int)]
    text = " ".join(summary(judged(labels, answers)))
    assert "better than chance" in text
    assert "not shown to be right more often than always predicting Normal" in text
    assert "90.0 %" in text


def test_swapped_classes_are_said_to_be_worse_than_chance() -> None:
    labels = np.arange(200) % 2
    assert any("worse than chance" in sentence for sentence in summary(judged(labels, 1 - labels)))


def test_few_groups_are_said_not_to_settle_it() -> None:
    labels = np.arange(320) % 2
    answers = np.where(np.arange(320) % 16 < 13, labels, 1 - labels)
    few = judged(labels, answers, groups=16, group="series")
    assert "16 independent series: too few to be sure of it." in " ".join(summary(few))
    (warning,) = few_groups(16, "series")
    assert "Only 16 independent series" in warning and "too narrow" in warning
    assert few_groups(FEW_GROUPS, "series") == []


def test_the_weakest_class_is_named_with_what_it_is_taken_for() -> None:
    labels = np.repeat([0, 1, 2], [50, 40, 10])
    answers = labels.copy()
    answers[90:93], answers[93], answers[0] = 1, 0, 1
    text = " ".join(summary(judged(labels, answers)))
    assert "The weakest class is Colitis: 6 of 10 are recognised (60.0 %), and 3 are taken" in text
    assert text.endswith("for Polyps.")


def test_a_class_without_images_and_a_perfect_answer_are_told() -> None:
    labels = np.array([0] * 30 + [2] * 30)
    sentences = summary(judged(labels, labels))
    assert "Every class was recognised without a mistake." in sentences
    assert "None of the test images shows Polyps." in sentences


def test_two_classes_are_told_with_their_roc_auc() -> None:
    labels = np.arange(100) % 2
    two = judged(labels, labels, unit="rows", who="The recipe is")
    assert summary(two)[0].startswith("The recipe is right for 100.0 % of 100 rows (95 % interval ")
    assert "ROC AUC of 1.000 [1.000, 1.000]" in summary(two)[0]


def test_what_to_look_at_first_follows_from_the_answers() -> None:
    labels = np.arange(300) % 3
    wrong = np.where(np.arange(300) < 30, (labels + 1) % 3, labels)
    assert look_first(judged(labels, wrong, sure=0.95), SHOWN) == (
        "worst_mistakes", "30 of 30 wrong predictions have a probability over 0.9",
    )  # fmt: skip
    assert look_first(judged(labels, wrong, sure=0.6), SHOWN)[0] == "confusion_matrix"
    assert look_first(judged(labels, np.zeros(300, int)), SHOWN)[0] == "curves"
    name, why = look_first(judged(labels, labels), SHOWN)
    assert name == "confusion_matrix" and "reason for doubt" in why


@pytest.mark.parametrize("name", datasets())
def test_every_class_has_a_name_for_people(name: str) -> None:
    dataset: Any = part("dataset", name)
    known = titles(dataset)
    assert list(known) == list(dataset.classes)
    assert len(set(known.values())) == len(known)
    assert all(re.fullmatch(r"[A-Z][^_]*", title) for title in known.values())


def test_names_for_people_come_from_the_folder_or_from_the_settings() -> None:
    dataset: Any = part("dataset", "kvasir4", "+dataset.titles={2_polyps: Polyp or adenoma}")
    assert list(titles(dataset).values()) == [
        "Normal", "Ulcerative colitis", "Polyp or adenoma", "Esophagitis",
    ]  # fmt: skip
    alike: Any = part("dataset", "kvasir4", "dataset.classes=[0_same, 1_same]")
    assert titles(alike) == {"0_same": "0_same", "1_same": "1_same"}


@pytest.mark.parametrize("deployment", deployments())
def test_the_report_names_the_commands_that_serve_its_model(deployment: str) -> None:
    model, _, _ = deployment.partition("/")
    config = configuration(f"+pipeline=train_{model}")
    told = serving(config, RUN)
    name = f"{model}-{config.dataset.name}"
    promote = f"make promote MODEL={name} VERSION=..."
    assert f'{promote} FORCE="the reason, which is kept"' in told.values()
    free = replace(config, env=replace(config.env, promotion=Promotion.allowed))
    assert promote in serving(free, RUN).values()
    newest = deployed(name, model)
    assert newest and newest.startswith(f"{model}/V")
    served = f'make serve DEPLOYMENT={newest} ARGS="--model-uri runs:/{RUN}/serving"'
    assert served in told.values()


def test_without_a_deployment_or_a_model_the_report_says_so() -> None:
    nowhere = configuration("+pipeline=train_resnet50v2ft", "model.name=unknown")
    assert "No folder deploy/unknown/V<N>" in next(iter(serving(nowhere, RUN)))
    folds = configuration("+pipeline=train_resnet50v2ft", "split.by=cluster", "split.folds=5")
    (said,) = serving(folds, RUN)
    assert "split.folds=null" in said
    assert serving(configuration("+pipeline=dataset_kvasir4"), RUN) == {}


def test_a_figure_is_told_in_words() -> None:
    labels = np.arange(30) % 3
    confusion = alternative(figures.confusion(labels, np.eye(3)[labels], NAMES))
    assert "counts" in confusion and "True label against Predicted label" in confusion
    assert "Polyps (AUC = 1.00)" in alternative(figures.roc(labels, np.eye(3)[labels], NAMES))
    pictures = [np.zeros((4, 4, 3), np.uint8)] * 2
    assert alternative(figures.gallery(pictures, ["one\npicture", "two"], "none")) == (
        "one picture; two"
    )
    assert alternative(figures.gallery([], [], "no wrong answer")) == "no wrong answer"


class Page(HTMLParser):
    """Ids, links within the page and alternative texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.alternatives: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"].removeprefix("#")] if tag == "a" else []
        self.alternatives += [found["alt"]] if tag == "img" else []


def test_the_page_begins_with_the_words_and_leads_to_the_figure() -> None:
    figure = Figure()
    figure.subplots().set(xlabel="epoch", ylabel="loss")
    report = Report(
        scalars={},
        tables={
            "overall": pd.DataFrame({"metric": ["accuracy"], "value": [0.9]}),
            "per_class": pd.DataFrame(
                {
                    "class": ["2_polyps", "macro"],
                    "recall_2_polyps": [1, 2],
                    "recall": ["0.900 [0.800, 1.000]", ""],
                }
            ),
            "by_group": pd.DataFrame({"metric": ["mcc"], "groups (9)": ["0.500 [0.100, 0.900]"]}),
        },
        figures={"curves": figure, "contact_sheet_2_polyps": figure},
        notes=["Beware of <b>."],
        summary=["It is good.", "It is sure."],
        captions={"by_group": "What a group is."},
        first=("curves", "do they fall?"),
    )
    named = {"0_normal": "Normal", "2_polyps": "Polyps"}
    page = render("title", {}, "a: b", report, named, {"Serve it so:": "make serve X=1"})
    body = page.partition("<body>")[2]
    order = [
        "It is good. It is sure.", "Look first at", "Beware of &lt;b&gt;.", "On test, once",
        "recall (sensitivity)", ">By group</h2>", "What a group is.", "groups (9)",
    ]  # fmt: skip
    places = [body.index(text) for text in order]
    assert places == sorted(places)
    assert "2_polyps</td>" not in body and "<td>Polyps</td>" in body
    assert "<th>recall_Polyps</th>" in body and ">Contact sheet: Polyps</h2>" in body
    assert "0.900 [0.800,\u00a01.000]" in body and body.count(">By group</h2>") == 1
    assert "<pre>make serve X=1</pre>" in body
    read = Page(page)
    assert read.links == ["curves"] and set(read.links) <= set(read.ids)
    assert read.alternatives == ["loss against epoch"] * 2
    assert "prefers-color-scheme: dark" in page and "@media print" in page


def test_a_failed_run_begins_with_its_reason() -> None:
    page = render_failure("title", {"git": "x"}, "a: b", "ingest", "no <images>", "")
    body = page.partition("<body>")[2]
    assert "The step ingest failed." in body and "no &lt;images&gt;" in body
    assert "the same command continues" in body.lower()
    assert "<img" not in body and "Look first" not in body and "Where it happened" not in body
