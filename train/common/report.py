"""One HTML file that holds everything and opens offline."""

import base64
import io
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, select_autoescape
from matplotlib.figure import Figure

from train.common.provenance import ROOT
from train.common.values import Report

LONGEST = 60
"""Rows of a table shown; the whole table is an artifact of the run."""
DPI = 110


def png(figure: Figure) -> bytes:
    """`figure` as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def _inline(figure: Figure) -> str:
    return "data:image/png;base64," + base64.b64encode(png(figure)).decode()


def _table(frame: pd.DataFrame) -> str:
    return frame.head(LONGEST).to_html(index=False, float_format="{:.3f}".format, border=0)


def render(title: str, run: dict[str, Any], config: str, report: Report) -> str:
    """The report of a finished run: `run` holds its facts, `config` the resolved YAML."""
    return _page(
        title=title,
        failure=None,
        facts=report.facts | run,
        notes=report.notes,
        figures={name: _inline(figure) for name, figure in report.figures.items()},
        tables={name: _table(frame) for name, frame in report.tables.items()},
        captions=report.captions,
        config=config,
    )


def render_failure(
    title: str, run: dict[str, Any], config: str, step: str, reason: str, trace: str
) -> str:
    """The report of a failed run: which step failed, and why."""
    return _page(
        title=title,
        failure={"step": step, "reason": reason, "trace": trace},
        facts=run,
        notes=[],
        figures={},
        tables={},
        captions={},
        config=config,
    )


def _page(**values: Any) -> str:
    loader = FileSystemLoader(ROOT / "train" / "common")
    template = Environment(loader=loader, autoescape=select_autoescape()).get_template(
        "report.html"
    )
    return template.render(**values)
