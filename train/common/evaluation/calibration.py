r"""How far probabilities can be taken at their word, before and after the temperature.

The expected calibration error is the mean gap between the probability of the predicted class and
the share of right predictions, over bins \(b\) of equal width [1], or of equally many images
(adaptive [2]), since most predictions fall into the last bin of equal width:

$$ \mathrm{ECE} = \sum_b \frac{n_b}{N} \left| \mathrm{right}_b - \mathrm{given}_b \right| $$

1. Guo et al.: *On Calibration of Modern Neural Networks*, ICML 2017.
2. Nguyen, O'Connor: *Posterior calibration and exploratory analysis for natural language processing
   models*, EMNLP 2015.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from conf.schema import Metrics
from train.common.evaluation.metrics import bootstrap

BINS = 10


def logits(probabilities: np.ndarray) -> np.ndarray:
    """The logits of probabilities (N, classes), but for a constant of each row."""
    return np.log(np.maximum(probabilities.astype(np.float64), np.finfo(np.float32).tiny))


def tempered(probabilities: np.ndarray, value: float) -> np.ndarray:
    """Probabilities (N, classes) whose logits are divided by `value`."""
    scaled = logits(probabilities) / value
    return np.exp(scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True))


def bins(labels: np.ndarray, probabilities: np.ndarray, adaptive: bool = False) -> pd.DataFrame:
    """One row per bin that has images: `low`, `high`, `images`, mean `given`, share `right`.

    Bins have equal width, or with `adaptive` equally many images, but for equal probabilities.
    """
    given, right = _judged(labels, probabilities)
    edges, number = _binned(given, adaptive)
    last = max(1, len(edges) - 1)
    images = np.bincount(number, minlength=last)
    kept = images > 0
    count = images[kept]
    return pd.DataFrame(
        {
            "low": edges[:last][kept],
            "high": edges[-last:][kept],
            "images": count,
            "given": np.bincount(number, given, last)[kept] / count,
            "right": np.bincount(number, right, last)[kept] / count,
        }
    )


def error(labels: np.ndarray, probabilities: np.ndarray, adaptive: bool = False) -> float:
    """The expected calibration error of labels (N,) and probabilities (N, classes)."""
    given, right = _judged(labels, probabilities)
    gaps = np.bincount(_binned(given, adaptive)[1], right - given)
    return float(np.abs(gaps).sum() / len(labels))


def _judged(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The probability of the predicted class, and whether that class is right (N,)."""
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels


def _binned(given: np.ndarray, adaptive: bool) -> tuple[np.ndarray, np.ndarray]:
    """The edges of the bins, and the bin of each of `given` (N,)."""
    edges = np.linspace(0, 1, BINS + 1)
    if adaptive:
        edges = np.unique(np.quantile(given, edges))  # equal probabilities share a bin
    last = max(1, len(edges) - 1)
    return edges, np.clip(np.searchsorted(edges, given, side="left") - 1, 0, last - 1)


def measures(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """ECE, adaptive ECE and the Brier score, summed over the classes; 0 is the best of each."""
    hot = np.eye(probabilities.shape[1])[labels]
    return {
        "ece": error(labels, probabilities),
        "adaptive_ece": error(labels, probabilities, adaptive=True),
        "brier": float(((probabilities - hot) ** 2).sum(axis=1).mean()),
    }


def compared(
    labels: np.ndarray,
    versions: Mapping[str, np.ndarray],
    groups: np.ndarray,
    settings: Metrics,
    seed: int,
) -> pd.DataFrame:
    """`measures` of each of `versions`, probabilities by name, with intervals over whole `groups`.

    Rows are (version, measure), columns value, low, high.
    """

    def of(given: np.ndarray) -> pd.DataFrame:
        return bootstrap(lambda rows: measures(labels[rows], given[rows]), groups, settings, seed)

    parts = {name: of(given) for name, given in versions.items()}
    return pd.concat(parts, names=["probabilities", "measure"])


def diagram(labels: np.ndarray, versions: Mapping[str, np.ndarray]) -> Figure:
    """Share of right predictions against their probability, a line for each of `versions`.

    Each point has equally many images.
    """
    figure = Figure(figsize=(5.4, 4.8), layout="constrained")
    axes = figure.subplots()
    for name, given in versions.items():
        table = bins(labels, given, adaptive=True)
        axes.plot(table["given"], table["right"], marker="o", label=name)
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfect")
    axes.set(xlabel="probability of the predicted class", ylabel="share of right predictions")
    axes.legend()
    return figure
