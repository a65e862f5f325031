"""{{cookiecutter.dataset}}: where its rows come from, and what is verified."""

from pathlib import Path

from conf.schema import TableDataset

from datasets.common.tables import Table, load, tabulate
from .common import CONTRACT
from .synthetic import draw


def build(config: TableDataset, cache: Path) -> Table:  # noqa: ARG001 -- a table needs no cache
    """The verified rows of `config` (`conf.schema.TableDataset`) whose outcome is known.

    Raises `conf.errors.UserError`.
    """
    frame = load(config, CONTRACT, draw)
    reasons = frame["Outcome"].isna().map({True: "Outcome is empty", False: ""})
    return tabulate(frame, frame["Outcome"], reasons, config, CONTRACT)
