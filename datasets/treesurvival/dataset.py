"""treesurvival: where its rows come from, and what is verified before they are used."""

from pathlib import Path

from conf.schema import TableDataset
from datasets.common.tables import Table, load, tabulate
from datasets.treesurvival.common import CONTRACT, outcomes
from datasets.treesurvival.synthetic import draw


def build(config: TableDataset, cache: Path) -> Table:  # noqa: ARG001 -- a table needs no cache
    """The verified rows of `config` (`conf.schema.TableDataset`) whose outcome is known.

    Raises `conf.errors.UserError`.
    """
    frame = load(config, CONTRACT, draw)
    labels, reasons = outcomes(frame)
    return tabulate(frame, labels, reasons, config, CONTRACT)
