"""The checks of the leak gate: what makes test figures better than the model is.

A probe predicts the class of validation images from something other than the finding. What it
reaches is the mean recall of the classes, whose chance is one over the number of classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd

from conf.schema import ImageTraining, SplitBy
from datasets.common.contract import NO_GROUP
from models import cover
from train.common.data.types import DecodedImages, Splits
from train.common.evaluation import metrics, probes, words

SHOWN = 3
"""Examples in a message."""
ALIKE = 0.99
"""Correlation of two thumbnails from which on images are copies. Endoscopy frames and CT slices of
two classes whose perceptual hashes agree by chance correlate at 0.95 or less."""
OF_PROBES = {
    "metadata": "Metadata alone (file size, sides, JPEG quality, border, corners)",
    "masked": "Images without their centre",
}
"""The probes by their settings in `gate`, and the beginning of their sentences."""


@dataclass(frozen=True)
class Check:
    """One check: what was found, and what is accepted."""

    name: str
    setting: str
    """The setting that holds the threshold."""
    value: float
    threshold: float | None
    """Largest accepted `value`, or excess of `low` over `chance`; None: it is only reported."""
    said: str = ""
    """What was found, as a sentence; "" if there is nothing to say."""
    way_out: str = ""
    low: float = np.nan
    high: float = np.nan
    chance: float = np.nan
    accepted: str = ""
    """The setting that lets the run go on although the check failed."""

    @property
    def failed(self) -> bool:
        """Whether more was found than is accepted."""
        found = self.value if np.isnan(self.chance) else self.low - self.chance
        return self.threshold is not None and found > self.threshold

    @property
    def verdict(self) -> str:
        """`passed`, `failed`, `failed, accepted` or `reported`."""
        if self.threshold is None:
            return "reported"
        return "passed" if not self.failed else f"failed{self.accepted and ', accepted'}"


def table(checks: list[Check]) -> pd.DataFrame:
    """One row per check: check, value, low, high, chance, threshold, verdict.

    Counts are text, so that no report shows them as 2.000; "" is no number.
    """
    columns = ("name", "value", "low", "high", "chance", "threshold", "verdict")
    rows = [[_cell(getattr(check, name)) for name in columns] for check in checks]
    return pd.DataFrame(rows, columns=["check", *columns[1:]], dtype=object)


def _cell(value: object) -> object:
    if value is None or value != value:
        return ""
    return str(value) if isinstance(value, int) else value


def check(splits: Splits[DecodedImages], settings: ImageTraining) -> list[Check]:
    """All checks of `splits`, in the order of the table. Test images never enter a probe."""
    return [
        *crossing(splits, settings),
        contradictions(splits.data, settings),
        *shortcuts(splits, settings),
    ]


def crossing(splits: Splits[DecodedImages], settings: ImageTraining) -> list[Check]:
    """Images, near-duplicate clusters and groups that have images in more than one split."""
    frame = splits.data.frame
    placed = pd.concat(
        [
            frame[["file", "sha256", "cluster", "group"]].iloc[rows].assign(split=name)
            for name, rows in splits.parts.items()
        ]
    )
    accepted = "split.allow_crossing=true" if settings.split.allow_crossing else ""
    if settings.split.by == SplitBy.random:
        accepted = "split.by=random"
    way_out = (
        "Choose split.by=cluster to make splits without them from all images, or accept them with "
        "split.allow_crossing=true; the report then warns of them"
    )
    kinds = {
        "sha256": ("exact duplicates across splits", "images are byte for byte"),
        "cluster": ("near-duplicates across splits", "near-duplicate clusters have images"),
        "group": ("groups across splits", "groups (series or patients) have images"),
    }
    checks = []
    for column, (name, what) in kinds.items():
        known = placed[placed[column] != NO_GROUP] if column == "group" else placed
        if known.empty:
            continue
        across = known[known.groupby(column)["split"].transform("nunique") > 1]
        count = int(across[column].nunique())
        said = f"{count} {what} in more than one split" if count else ""
        if said and column == "cluster":  # it holds the other two
            said += f", {_examples(across, column)}"
        checks.append(
            Check(name, "crossing", count, settings.gate.crossing, said, way_out, accepted=accepted)
        )
    return checks


def _examples(across: pd.DataFrame, column: str) -> str:
    """How many test images are concerned, and the first files."""
    pairs = across.drop_duplicates([column, "split"]).groupby(column, sort=False)
    named = [
        " and ".join(f"{row.file} ({row.split})" for row in pair.itertuples())
        for _, pair in islice(pairs, SHOWN)
    ]
    return (
        f"{int((across['split'] == 'test').sum())} test images among them: figures on test are "
        f"optimistic. For example: {'; '.join(named)}"
    )


def contradictions(images: DecodedImages, settings: ImageTraining) -> Check:
    """Pairs of near-duplicates with different labels.

    A perceptual hash alone, or a group, also joins images that differ: thumbnails decide.
    """
    frame, pixels = images.frame, images.load()
    several = frame.groupby("cluster")["label"].transform("nunique") > 1
    pairs: list[tuple[str, str]] = []
    for _, members in frame[several].groupby("cluster"):
        small = probes.thumbnails(pixels[members.index])
        labels = members["label"].to_numpy()
        files = members["file"].to_numpy()
        for row, alike in enumerate(_alike(small)):
            other = np.flatnonzero(alike[row:] & (labels[row:] != labels[row])) + row
            pairs += [(files[row], files[k]) for k in other]
    said = ""
    if pairs:
        named = "; ".join(f"{one} and {other}" for one, other in pairs[:SHOWN])
        said = f"{len(pairs)} near-duplicate pairs have different labels, for example {named}"
    return Check(
        "contradicting labels",
        "contradictions",
        len(pairs),
        settings.gate.contradictions,
        said,
        "Remove or correct the wrong one of each pair, or accept them with gate.contradictions="
        f"{len(pairs)}",
    )


def _alike(points: np.ndarray) -> Iterator[np.ndarray]:
    """For each of `points` (N, D) a mask (N,): those whose Pearson correlation is over `ALIKE`.

    Points without variance are alike.
    """
    centred = points - points.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    scaled, flat = centred / np.where(norms > 0, norms, 1), norms[:, 0] == 0
    for row in range(len(points)):
        yield (scaled @ scaled[row] >= ALIKE) | (flat & flat[row])


def shortcuts(splits: Splits[DecodedImages], settings: ImageTraining) -> list[Check]:
    """The probes of metadata and of masked images, each fitted on train and judged on validation.

    They see the pixels that the model sees, without a hidden border.
    Images are drawn one by one, not by cluster: a limited number of whole series would be few.
    """
    images = splits.data
    drawn = {
        name: _some(rows, settings.gate.images, settings.seed)
        for name, rows in splits.parts.items()
        if name != "test"
    }
    pixels = {
        name: cover.inside(images.read(rows), settings.transform) for name, rows in drawn.items()
    }
    features = {
        "metadata": {
            name: probes.metadata(images.frame.iloc[rows], pixels[name]).to_numpy(dtype=float)
            for name, rows in drawn.items()
        },
        "masked": {name: probes.masked(given) for name, given in pixels.items()},
    }
    fitted, tested = (splits.labels(drawn[name]) for name in ("train", "validation"))
    clusters = splits.groups(drawn["validation"])
    chance = 1 / len(np.unique(tested))
    count = len(np.unique(clusters))
    checks = []
    for name, given in features.items():
        said = probes.judged((given["train"], fitted), given["validation"], settings.seed)
        value, low, high = probes.mean_recall(
            said, tested, clusters, settings.metrics, settings.seed
        )
        excess = (
            f"{OF_PROBES[name]} give the class of {len(tested):,} validation images with a mean "
            f"recall of {metrics.cell(value, low, high)}, where chance is {chance:.3f}: a model "
            "can predict the class without the finding."
        )
        if count < words.FEW_GROUPS:
            excess += f" With only {count} independent clusters this may be luck."
        checks.append(
            Check(
                f"probe of {name}" if name == "metadata" else "probe of masked images",
                name,
                value,
                getattr(settings.gate, name),
                excess if low > chance else "",
                "Hide what gives the class away (transform.hide_border, transform.hide_inset), or "
                "save all files alike, or accept it with "
                f"gate.{name}={np.ceil(100 * (low - chance)) / 100:.2f}",
                low,
                high,
                chance,
            )
        )
    return checks


def _some(rows: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """At most `limit` of `rows`, drawn at random, in their order."""
    if len(rows) <= limit:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, limit, replace=False))
