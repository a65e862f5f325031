"""Study of a dataset for shortcuts: `python -m datasets +pipeline=study_<name>`."""

import functools

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from omegaconf import DictConfig

from conf.schema import ImageDatasetStudy, typed
from datasets.common import series
from datasets.common.contract import NO_GROUP
from datasets.common.images import resize
from models import cover
from train.common.data.types import DecodedImages, Report
from train.common.evaluation import probes, words
from train.common.evaluation.figures import COLUMNS, gallery
from train.common.tracking.log import tracked_run
from train.jobs import pictures
from train.jobs.common import contact_sheets, counts, decoded, facts, named

CLUSTERS = 6
"""Number of near-duplicate clusters shown, one row per cluster."""
SIZES = 15
"""Number of sizes listed."""
FEW = 5
"""If a size has fewer images, a single class may be chance."""
MOSTLY = 0.5
"""Share of alike neighbours above which numbered files are taken for slices of series."""
CAPTIONS = {
    "leak_probes": "How often a property other than the finding predicts the class. At random, "
    "a probe may learn from near-copies of an image; by cluster it may not. High at random and low "
    "by cluster: a random split measures copies. High by cluster: a shortcut, which models can "
    "learn too. Balanced is the mean recall of the classes.",
    "metadata_one_by_one": "The same forest, by cluster, with a single property of the file.",
    "image_sizes": "If only one class has a size, the size gives the class away.",
    "near_duplicates": "Images of the largest near-duplicate clusters, one row per cluster. "
    "Clusters in several classes or splits come first.",
}


def job(config: DictConfig) -> Report:
    """Class balance, sizes, near-duplicates, leak probes and contact sheets as one report."""
    settings = typed(config, ImageDatasetStudy)
    with tracked_run(settings) as run:
        images = decoded(settings, run)
        counted, shown = counts(images), named(images, settings)
        table, alone, notes = leaks(images, settings)
        chance = float(counted["share"].max())
        report = Report(
            scalars={"chance": chance}
            | {f"{r.probe}_{r.validated}".replace(" ", "_"): r.value for r in table.itertuples()},
            tables={
                "class_balance": counted,
                "leak_probes": table,
                "metadata_one_by_one": alone,
                "image_sizes": sizes(images),
                "near_duplicates": crossing(images),
            },
            figures={
                "class_balance": pictures.balance(counts(shown)),
                "leak_probes": pictures.probes(table, chance),
                "image_sizes": pictures.sizes(images.frame, shown.classes),
                "near_duplicates": near_duplicates(shown),
                **contact_sheets(images, settings.sheet, settings.seed),
            },
            notes=[*words.drawn(settings.dataset), *notes],
            facts=facts(images, settings),
            captions=CAPTIONS,
            summary=[words.balance(counted, "images", words.titles(settings.dataset))],
            first=("leak_probes", "does anything other than the finding give the class away?"),
        )
        run.log_report(report)
        return report


def leaks(
    images: DecodedImages, settings: ImageDatasetStudy
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """The probes, the metadata one by one, and the warnings."""
    rows = probes.whole_clusters(
        images.frame["cluster"].to_numpy(), settings.probes.images, settings.seed
    )
    table = images.frame.iloc[rows]
    labels, clusters = table["label"].to_numpy(), table["cluster"].to_numpy()
    how = settings.probes, settings.seed
    pixels = cover.inside(images.load()[rows], settings.transform)
    known, small = probes.metadata(table, pixels), probes.thumbnails(pixels)

    def of_metadata(groups: np.ndarray | None, names: list[str]) -> np.ndarray | None:
        return probes.forest(known[names], labels, groups, *how)

    def of_pixels(groups: np.ndarray | None) -> np.ndarray | None:
        return probes.neighbour(small, labels, groups)

    everything = functools.partial(of_metadata, names=list(known))
    found = pd.concat(
        [
            probes.compare("metadata", everything, labels, clusters, *how),
            probes.compare("nearest neighbour", of_pixels, labels, clusters, *how),
        ],
        ignore_index=True,
    )
    single = []
    for name in known.columns[known.nunique() > 1]:
        said = of_metadata(clusters, [name])
        if said is not None:
            single.append((name, *probes.accuracy(said == labels, clusters, *how)))
    alone = pd.DataFrame(single, columns=["property", "value", "low", "high"])
    alone = alone.sort_values("value", ascending=False)
    return found, alone, _caveats(images, found, len(rows))


def _caveats(images: DecodedImages, found: pd.DataFrame, looked_at: int) -> list[str]:
    """Warnings that a reader needs before splitting or training."""
    table, notes = images.frame, []
    chance = table["label"].value_counts(normalize=True).max()
    by = {(row.probe, row.validated): row for row in found.itertuples()}
    metadata = by.get(("metadata", "by cluster")) or by.get(("metadata", "at random"))
    if metadata and metadata.low > chance:
        notes.append(
            f"Metadata alone predict the class of {metadata.value:.1%} of the images "
            f"({metadata.validated}; always the largest class: {chance:.1%}): a model can predict "
            "the class without the finding."
        )
    for probe, kind in by:
        copies, others = by[probe, kind], by.get((probe, "by cluster"))
        if kind == "at random" and others and copies.low > others.value:
            notes.append(
                f"The probe {probe} is right for {copies.value:.1%} at random and for "
                f"{others.value:.1%} [{others.low:.1%}, {others.high:.1%}] by cluster: a random "
                "split would measure how well near-copies are recognised. Choose split.by=cluster."
            )
    clusters = table.groupby("cluster")
    if several := int((clusters["label"].nunique() > 1).sum()):
        notes.append(f"{several} near-duplicate clusters are in several classes: wrong labels?")
    if several := int((clusters["split"].nunique() > 1).sum()):
        notes.append(f"{several} near-duplicate clusters are in several official splits.")
    notes += unnamed_series(images)
    if looked_at < len(table):
        notes.append(f"The probes used {looked_at} of {len(table)} images (probes.images).")
    return notes


def unnamed_series(images: DecodedImages) -> list[str]:
    """A proposal if nothing names groups, and files with neighbouring numbers are alike."""
    if (images.frame["group"] != NO_GROUP).any():
        return []
    files = images.frame["file"].tolist()
    small = np.stack([resize(image, series.SIDE).mean(axis=2) for image in images.load()])
    share = series.alike(files, small)
    if share < MOSTLY:
        return []
    found = len(set(series.adjacent(files, small)) - {""})
    return [
        f"{share:.1%} of the files are like their neighbour in the numbering, as slices of a "
        f"series are, and nothing names the series: dataset.series=adjacent groups them into "
        f"{found}, which split.by=cluster keeps together."
    ]


def sizes(images: DecodedImages) -> pd.DataFrame:
    """The most frequent sizes, one per row: width, height, images of each class."""
    names = pd.Categorical.from_codes(images.frame["label"], list(images.classes))
    grouped = images.frame.assign(label=names).groupby(["width", "height", "label"], observed=False)
    found = grouped.size().unstack()
    found = found[found.sum(axis=1) > 0]
    count, classes = found.sum(axis=1), (found > 0).sum(axis=1)
    found.columns = list(images.classes)
    found["only one class"] = np.where((classes == 1) & (count >= FEW), "yes", "")
    order = count.sort_values(ascending=False, kind="stable").index
    return found.loc[order].head(SIZES).reset_index()


def crossing(images: DecodedImages) -> pd.DataFrame:
    """Clusters of two or more, one per row: in several classes first, then splits, then size."""
    names = np.array(images.classes)
    found = images.frame.assign(name=names[images.frame["label"]]).groupby("cluster")
    rows = pd.DataFrame(
        {
            "images": found.size(),
            "classes": found["name"].unique().map(sorted).str.join(", "),
            "splits": found["split"].unique().map(sorted).str.join(", "),
            "several classes": found["label"].nunique() > 1,
            "several splits": found["split"].nunique() > 1,
            "first file": found["file"].first(),
        }
    )
    rows = rows[rows["images"] > 1].reset_index()
    order = ["several classes", "several splits", "images"]
    return rows.sort_values(order, ascending=False, ignore_index=True, kind="stable")


def near_duplicates(images: DecodedImages) -> Figure:
    """The first clusters of `crossing`, one per row."""
    pixels, table = images.load(), images.frame
    shown, titles = [], []
    for cluster in crossing(images)["cluster"].head(CLUSTERS):
        members = table[table["cluster"] == cluster]
        # One image of every class and split, before a second image of any.
        rank = members.groupby(["label", "split"]).cumcount()
        members = members.loc[rank.sort_values(kind="stable").index].head(COLUMNS)
        blank = [np.full((1, 1, 3), 255, np.uint8)] * (COLUMNS - len(members))
        shown += [*pixels[members.index], *blank]
        titles += [
            f"{images.classes[m.label]} {m.split}\n{m.file[-24:]}" for m in members.itertuples()
        ]
        titles += [""] * len(blank)
    return gallery(shown, titles, "no near-duplicates")
