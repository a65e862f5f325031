"""The HTML report of a run: one file, which opens offline."""

import base64
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, select_autoescape
from matplotlib.figure import Figure

from train.common.data.types import Report

LONGEST = 60
"""Largest number of rows of a table in the report; the whole table is an artifact of the run."""
DPI = 110
NAMED = {"roc": "ROC", "grad_cam": "Grad-CAM"}
"""Headings that do not follow from the name of a figure or table."""
COLUMNS = {
    "recall": "recall (sensitivity)",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
}
"""Names of columns as a reader knows them."""
INTERVAL = re.compile(r"\[(\S+), (\S+)\]")


def png(figure: Figure) -> bytes:
    """`figure` as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def alternative(figure: Figure) -> str:
    """The alternative text of `figure`: titles, axes and legends of its panels."""
    panels = []
    for axes in figure.axes:
        said = [" ".join((axes.get_title() or axes.get_title(loc="left")).split())]
        if axes.axison:
            axis = " against ".join(filter(None, (axes.get_ylabel(), axes.get_xlabel())))
            legend = axes.get_legend()
            shown = [text.get_text() for text in legend.get_texts()] if legend else []
            said += [axis, ", ".join(shown)]
        panels.append(": ".join(filter(None, said)))
    return "; ".join(filter(None, panels))


def _inline(picture: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(picture).decode()


def _table(frame: pd.DataFrame, named: Callable[[str], str]) -> str:
    shown = frame.head(LONGEST).rename(columns=lambda column: _column(str(column), named))
    shown = shown.map(lambda cell: _whole(named(cell)) if isinstance(cell, str) else cell)
    return shown.to_html(index=False, float_format="{:.3f}".format, border=0)


def _column(name: str, named: Callable[[str], str]) -> str:
    return COLUMNS.get(name) or named(name)


def _whole(cell: str) -> str:
    """`cell` with a no-break space in its interval, so that a narrow column breaks before it."""
    return INTERVAL.sub("[\\1,\u00a0\\2]", cell)


def _namer(titles: Mapping[str, str]) -> Callable[[str], str]:
    """Replaces names of classes by their `titles` in a heading, a column or a cell."""
    changed = {name: title for name, title in titles.items() if name != title}
    if not changed:
        return lambda text: text
    names = "|".join(re.escape(name) for name in sorted(changed, key=len, reverse=True))
    whole = re.compile(rf"(?:^|(?<=^recall_)|(?<=^share )|(?<=, ))({names})(?=$|, )")
    return lambda text: whole.sub(lambda found: changed[found[1]], text)


def _heading(name: str, titles: Mapping[str, str]) -> str:
    for each, title in titles.items():
        if name.endswith(f"_{each}"):
            return f"{_heading(name.removesuffix(f'_{each}'), {})}: {title}"
    return NAMED.get(name, name.replace("_", " ").capitalize())


def render(
    title: str,
    run: dict[str, Any],
    config: str,
    report: Report,
    titles: Mapping[str, str],
    serving: Mapping[str, str],
    drawn: Mapping[str, bytes] | None = None,
) -> str:
    """The report of a finished run: `run` holds its facts, `config` the resolved YAML.

    `titles` are the readable names of the classes, by name. `serving` is what to do with the model,
    and the commands. `drawn` are the figures as PNG, where they were drawn before.
    """
    named = _namer(titles)
    if drawn is None:
        drawn = {name: png(figure) for name, figure in report.figures.items()}
    return _page(
        title=title,
        failure=None,
        summary=report.summary,
        first=report.first,
        facts=report.facts | run,
        notes=report.notes,
        figures={name: _inline(picture) for name, picture in drawn.items()},
        alternatives={name: alternative(figure) for name, figure in report.figures.items()},
        tables={name: _table(frame, named) for name, frame in report.tables.items()},
        headings={name: _heading(name, titles) for name in (*report.figures, *report.tables)},
        captions=report.captions,
        serving=serving,
        config=config,
    )


def render_failure(
    title: str, run: dict[str, Any], config: str, step: str, reason: str, trace: str
) -> str:
    """The report of a failed run, with the step that failed and the reason."""
    return _page(
        title=title,
        failure={"step": step, "reason": reason, "trace": trace},
        facts=run,
        config=config,
    )


def _page(**values: Any) -> str:
    loader = FileSystemLoader(Path(__file__).parent)
    template = Environment(loader=loader, autoescape=select_autoescape()).get_template(
        "report.html"
    )
    return template.render(**values)
