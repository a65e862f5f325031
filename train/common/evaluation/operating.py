r"""Operating points: sensitivity and specificity of a class at a threshold chosen on validation.

Where a missed finding costs more than a false alarm, a class is called present if its probability
is at least \(t_c\), which need not be the largest of the classes. Of the \(n_c\) validation images
of class \(c\), \(t_c\) is the \(\lceil s\, n_c \rceil\)-th largest probability of \(c\), so a share
of at least \(s\) of them is found. Which specificity that leaves, the test images say.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from conf.schema import ImageTraining
from train.common.data.types import Predictions, Report
from train.common.evaluation import metrics, words


def points(labels: np.ndarray, probabilities: np.ndarray, sensitivity: float) -> tuple[float, ...]:
    """The threshold of each class, of labels (N,) and probabilities (N, classes) of validation.

    A class without images has the threshold 0, at which every image is called positive.
    """
    found = []
    for k in range(probabilities.shape[1]):
        own = np.sort(probabilities[labels == k, k])[::-1]
        rank = max(1, math.ceil(sensitivity * len(own) - 1e-9))
        found.append(float(own[rank - 1]) if len(own) else 0.0)
    return tuple(found)


def rates(
    labels: np.ndarray, probabilities: np.ndarray, thresholds: Sequence[float]
) -> dict[str, float]:
    """Sensitivity and specificity of each class, by name and class number; NaN without images."""
    found = {}
    for k, threshold in enumerate(thresholds):
        called, actual = probabilities[:, k] >= threshold, labels == k
        found[f"sensitivity_{k}"] = called[actual].mean() if actual.any() else np.nan
        found[f"specificity_{k}"] = (~called[~actual]).mean() if not actual.all() else np.nan
    return found


def with_points(
    report: Report, predictions: Predictions, thresholds: Sequence[float], settings: ImageTraining
) -> Report:
    """`report` with the table `operating_points`; as it was without `thresholds`.

    The scalars are `test_sensitivity_at_<class>` and `test_specificity_at_<class>`.
    """
    if not thresholds:
        return report
    labels, given = predictions.labels, predictions.probabilities
    found = metrics.bootstrap(
        lambda rows: rates(labels[rows], given[rows], thresholds),
        predictions.frame["cluster"].to_numpy(),
        settings.metrics,
        settings.seed,
    )
    titles = tuple(words.titles(settings.dataset).values())
    cells = {name: metrics.cell(*row) for name, row in found.iterrows()}
    table = pd.DataFrame(
        {
            "class": titles,
            "threshold": thresholds,
            "sensitivity": [cells[f"sensitivity_{k}"] for k in range(len(titles))],
            "specificity": [cells[f"specificity_{k}"] for k in range(len(titles))],
        }
    )
    scalars = {
        f"test_{kind}_at_{name}{end}": float(found.loc[f"{kind}_{k}", column])
        for k, name in enumerate(predictions.classes)
        for kind in ("sensitivity", "specificity")
        for column, end in (("value", ""), ("low", "_low"), ("high", "_high"))
    }
    aim = words.percent(settings.metrics.sensitivity)
    return replace(
        report,
        scalars=report.scalars | {k: v for k, v in scalars.items() if np.isfinite(v)},
        tables=report.tables | {"operating_points": table},
        captions=report.captions
        | {
            "operating_points": "Each class against all others, called present if its probability "
            f"is at least the threshold, which reached a sensitivity of {aim} on validation; here "
            "on test, with intervals."
        },
    )
