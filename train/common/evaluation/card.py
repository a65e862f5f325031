"""The model card of a run [1], made of what the run knows; nothing in it is written by hand.

`card.md` is Markdown with the metadata block of Hugging Face [2], and `card.html` the same to read.
What the data are and what a model of them is for comes from `dataset.about`. At the end stands what
the reporting guidelines ask for, and what of it is missing (`evaluation.guidelines`).

1. Mitchell et al.: *Model cards for model reporting*, FAT* 2019.
2. https://huggingface.co/docs/hub/model-cards
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, FileSystemLoader, select_autoescape

from conf.schema import ImageTraining, Source, TableTraining
from train.common.data.types import Report
from train.common.evaluation import guidelines
from train.common.evaluation.metrics import cell
from train.common.evaluation.words import titles

METADATA = {"accuracy": "accuracy", "f1": "f1_macro", "roc_auc": "roc_auc_macro", "mcc": "mcc"}
"""Metrics of the metadata block, by the names of Hugging Face, and ours."""
ORIGIN = ("run", "git_revision", "git_dirty", "lock_sha256", "device", "python", "tensorflow")
"""Facts about the run that the card shows."""
FACTS = {
    "by_source": "by_source",
    "calibration": "calibration_errors",
    "abstention": "abstention",
}
"""Facts that items of the guidelines need, and the tables of the report that they stand for."""


def card(
    settings: ImageTraining | TableTraining, report: Report, run: Mapping[str, Any], title: str
) -> str:
    """The model card as Markdown: of the `report`, and of the facts about the `run`."""
    about, tables = settings.dataset.about, report.tables
    name = f"{settings.model.name}-{settings.dataset.name}"
    known = _known(settings, report)
    asked: dict[str, tuple[guidelines.Item, ...]] = {"TRIPOD+AI": guidelines.TRIPOD}
    if isinstance(settings, ImageTraining):
        asked = {"CLAIM 2024": guidelines.CLAIM} | asked
    data = {k: v for k, v in report.facts.items() if k not in ("intervals", "run time")}
    return _template("card.md").render(
        metadata=_metadata(name, settings, report),
        name=name,
        title=title,
        summary=" ".join(report.summary),
        about=about,
        classes=list(titles(settings.dataset).values()),
        drawn=settings.dataset.source == Source.sample,
        facts=data,
        intervals=report.facts.get("intervals", "not computed"),
        overall=_table(_with_intervals(tables.get("overall"))),
        per_class=_table(_named(tables.get("per_class"), titles(settings.dataset))),
        by_group=_table(tables.get("by_group")),
        calibration=_table(tables.get("calibration_errors")),
        temperature=report.facts.get("temperature", ""),
        abstention=_table(tables.get("abstention")),
        limits=[*about.limits, *report.notes, *_of_folds(settings)],
        origin={key: run[key] for key in ORIGIN if key in run},
        guidelines=[
            (name, guidelines.count(items, known), guidelines.rows(items, known))
            for name, items in asked.items()
        ],
    )


def page(markdown: str) -> str:
    """The card as an HTML page, without its metadata block. HTML in the card is shown as text."""
    from markdown_it import MarkdownIt

    _, _, text = markdown.removeprefix("---\n").partition("\n---\n")
    content = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    title = text.strip().splitlines()[0].lstrip("# ")
    return _template("card.html").render(title=title, content=content)


def _known(settings: ImageTraining | TableTraining, report: Report) -> set[str]:
    """The facts that items of the guidelines need, of those that the dataset or the run has."""
    about = settings.dataset.about
    stated = {"about.source": about.source, "about.intended_use": about.intended_use}
    measured = {name for name, table in FACTS.items() if table in report.tables}
    return {name for name, text in stated.items() if text} | measured | set(report.figures)


def _of_folds(settings: ImageTraining | TableTraining) -> list[str]:
    """What the figures of an ensemble of folds are not."""
    if not isinstance(settings, ImageTraining) or not settings.split.folds:
        return []
    return [
        "The model is the mean of the networks of all folds. No image is left to test it: the "
        "figures are those of the single networks, each for the images of its own fold."
    ]


def _metadata(name: str, settings: ImageTraining | TableTraining, report: Report) -> str:
    """The metadata block in YAML."""
    kind = "image" if isinstance(settings, ImageTraining) else "tabular"
    known = {ours: f"test_{theirs}" for ours, theirs in METADATA.items()}
    values = {ours: report.scalars[key] for ours, key in known.items() if key in report.scalars}
    result = {
        "task": {"type": f"{kind}-classification"},
        "dataset": {
            "name": settings.dataset.name,
            "type": settings.dataset.name,
            "split": "test",
        },
        "metrics": [{"type": key, "value": round(value, 4)} for key, value in values.items()],
    }
    block = {
        "license": settings.dataset.about.licence or "unknown",
        "pipeline_tag": f"{kind}-classification",
        "tags": ["sonda", settings.model.name, settings.dataset.name],
        "metrics": list(values),
        "model-index": [{"name": name, "results": [result]}],
    }
    return str(yaml.safe_dump(block, sort_keys=False, allow_unicode=True))


def _with_intervals(table: pd.DataFrame | None) -> pd.DataFrame | None:
    """The table of metrics with value and interval in one column."""
    if table is None or not {"value", "low", "high"} <= set(table.columns):
        return table
    cells = [cell(row.value, row.low, row.high) for row in table.itertuples()]
    return pd.DataFrame({"metric": table["metric"], "value": cells})


def _named(table: pd.DataFrame | None, names: Mapping[str, str]) -> pd.DataFrame | None:
    """The table by class with readable `names` of the classes."""
    return None if table is None else table.replace({"class": dict(names)})


def _table(frame: pd.DataFrame | None) -> str:
    """`frame` as a table of Markdown; "" for None."""
    if frame is None:
        return ""
    rows = [list(map(str, frame.columns)), ["---"] * len(frame.columns)]
    rows += [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.3f}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def _template(name: str) -> Any:
    loader = FileSystemLoader(Path(__file__).parent)
    escape = select_autoescape(["html"])
    return Environment(loader=loader, autoescape=escape, keep_trailing_newline=True).get_template(
        name
    )
