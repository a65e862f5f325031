"""The leak gate of a training of images, between the split and the first epoch.

```mermaid
flowchart LR
    S[splits] --> C["checks (evaluation.leaks)"] --> V{failed?}
    V -->|no| T[training]
    V -->|"gate.enforce"| E[the run stops]
    V -->|"else, or accepted"| W[warning, tag gate=failed] --> T
```
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from conf.errors import UserError
from conf.schema import ImageTraining
from train.common.data.types import DecodedImages, Report, Splits
from train.common.evaluation import leaks
from train.common.tracking.log import Run

log = logging.getLogger(__name__)

PASSED, FAILED, OFF = "passed", "failed", "off"
"""Values of the tag `gate`."""
CAPTION = (
    "What was checked before the training. A probe predicts the class of validation images from "
    "metadata alone, or from images whose centre is masked: its value is the mean recall of the "
    "classes, and its threshold the largest accepted excess of the lower end of the interval over "
    "chance. Checks without a threshold are only reported."
)


@dataclass(frozen=True)
class Checked:
    """The outcome of the gate."""

    tag: str
    """`passed`, `failed` or `off`."""
    table: pd.DataFrame
    """One row per check, as `leaks.table` makes it; empty if the gate was off."""
    notes: list[str]


def gate(splits: Splits[DecodedImages], settings: ImageTraining, run: Run) -> Checked:
    """Check the splits for leaks and shortcuts, and log the outcome.

    Raises `UserError` if a check failed, unless a setting accepts it or `gate.enforce` is false:
    then it is a warning.
    """
    if not settings.gate.enabled:
        run.log_gate(OFF, leaks.table([]))
        return Checked(OFF, leaks.table([]), ["The leak gate was off (gate.enabled=false)."])
    checks = leaks.check(splits, settings)
    failed = [check for check in checks if check.failed]
    tag, table = FAILED if failed else PASSED, leaks.table(checks)
    run.log_gate(tag, table)
    if settings.gate.enforce and (stopping := [check for check in failed if not check.accepted]):
        raise UserError("\n".join(["the leak gate failed, before the training:", *_why(stopping)]))
    for line in _why(failed):
        log.warning("leak gate: %s", line)
    return Checked(tag, table, [*_summary(failed), *_notes(checks)])


def with_gate(report: Report, checked: Checked) -> Report:
    """`report` with the outcome of the gate, its table `gate` and its notes."""
    report = replace(report, facts=report.facts | {"leak gate": checked.tag})
    if checked.table.empty:
        return replace(report, notes=[*report.notes, *checked.notes])
    return replace(
        report,
        tables=report.tables | {"gate": checked.table},
        captions=report.captions | {"gate": CAPTION},
        notes=[*report.notes, *checked.notes],
    )


def pooled(tags: Iterable[str], tables: dict[int, pd.DataFrame]) -> Checked:
    """The gates of all folds together: failed if one failed, off if one was off."""
    known = set(tags)
    tag = next((tag for tag in (FAILED, OFF) if tag in known), PASSED)
    rows = [_as_logged(table).assign(fold=fold) for fold, table in tables.items()]
    joined = pd.concat(rows, ignore_index=True) if rows else leaks.table([])
    notes = [] if tag == PASSED else [f"The leak gate of the folds: {tag}."]
    return Checked(tag, joined, notes)


def _as_logged(table: pd.DataFrame) -> pd.DataFrame:
    """The table of a fold as it was before it became CSV: counts are text again."""
    counts, cells = pd.to_numeric(table["chance"]).isna(), table.astype(object).fillna("")
    for name in ("value", "threshold"):
        whole = [each if each == "" else f"{float(each):.0f}" for each in cells[name]]
        cells[name] = cells[name].where(~counts, whole)
    return cells


def _why(failed: list[leaks.Check]) -> list[str]:
    """A line for each failed check: what was found, the threshold, and the way out."""
    return [
        f"{check.said}\n  (threshold gate.{check.setting}={check.threshold}) "
        + (f"Accepted by {check.accepted}" if check.accepted else check.way_out)
        for check in failed
    ]


def _summary(failed: list[leaks.Check]) -> list[str]:
    """The warning of a gate that failed, or nothing."""
    names = [
        check.name + (f" (accepted by {check.accepted})" if check.accepted else "")
        for check in failed
    ]
    return [f"The leak gate failed: {', '.join(names)}."] if names else []


def _notes(checks: list[leaks.Check]) -> list[str]:
    """What was found, but for near-duplicates across splits, of which the report warns anyway."""
    return [check.said for check in checks if check.said and check.setting != "crossing"]
