"""Study of a registered image classifier: `python -m models +pipeline=study_<model>`.

It studies validation images, because only the training evaluates the test images. The split file of
the model's run lists them, and the digest of the data must be that of the run.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from omegaconf import DictConfig
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from conf.errors import UserError
from conf.schema import Embedding, ImageModelStudy, Transform, typed
from datasets.common.contract import Images
from train.common.data.pixels import decode
from train.common.data.types import Report
from train.common.evaluation import explain, figures, metrics, words
from train.common.evaluation.calibration import bins, error
from train.common.evaluation.learning import CAPTION
from train.common.tracking.load import Registered, fetch_keras, fetch_table, registered
from train.common.tracking.log import tracked_run
from train.jobs import pictures
from train.jobs import unlike as others
from train.jobs.common import NOTES, check_digest, named, verified
from train.jobs.learning import learned

PERPLEXITY = 30
"""Perplexity of t-SNE, scikit-learn's default; a third of the images if there are few."""
CAPTIONS = {
    "grad_cam": "Each image and the region that the prediction depends on (Grad-CAM, by autograd): "
    "the least certain predictions, then the most certain ones.",
    "layer_activations": "The image with the most certain prediction, and the channels of the last "
    "layer of each size that vary most.",
    "embedding": "Pooled features before the head, projected to a plane. Distances between groups "
    "mean little.",
    "calibration": "Share of right predictions against the predicted probability. ECE, the "
    "expected calibration error, is the mean gap, weighted by images (Guo et al., ICML 2017).",
}


def job(config: DictConfig) -> Report:
    """Galleries, activations, embedding and calibration of a registered model as one report."""
    settings = typed(config, ImageModelStudy)
    with tracked_run(settings) as run:
        model = registered(settings, settings.study.model_uri)
        everything = verified(settings, run)
        images, study = studied(everything, model, settings), settings.study
        stored = Transform(image_size=model.metadata["image_size"], workers=study.workers)
        decoded = decode(images, settings.dataset, stored, Path(settings.env.cache))
        pixels = decoded.load()
        network = fetch_keras(model)
        probabilities, pooled = explain.features(network, pixels)
        labels = images.frame["label"].to_numpy()
        points = plane(pooled, study.embedding, settings.seed)
        calibrated, gap = calibration(labels, probabilities)
        scores = metrics.scores(labels, probabilities, images.classes)
        kept = {name: scores[name] for name in ("accuracy", "mcc", "log_loss")} | {"ece": gap}
        certain = np.argsort(-probabilities.max(axis=1), kind="stable")
        most, least = certain[: study.pictures], certain[::-1][: study.pictures]
        cams = [*least[: study.pictures // 2], *most[: study.pictures // 2]]
        found = learned(everything, model, network, settings)
        learning, verdict = found or (None, "")
        unlike = others.table(model, pixels, images.frame["cluster"].to_numpy(), settings)
        shown = named(images, settings)
        titles = figures.titles(labels, probabilities, shown.classes, images.frame["file"].tolist())
        report = Report(
            scalars={f"{study.part.name}_{name}": value for name, value in kept.items()},
            tables={
                "scores": pd.DataFrame(kept.items(), columns=["metric", "value"]),
                "calibration": calibrated,
                "predictions": predictions(images, probabilities, points),
                **({} if unlike is None else {"other_kinds": unlike}),
                **({} if learning is None else {"learning_curve": learning}),
            },
            figures={
                "grad_cam": figures.grad_cams(
                    pixels[cams],
                    explain.grad_cam(network, pixels[cams], probabilities[cams].argmax(axis=1)),
                    [titles[row] for row in cams],
                ),
                "most_certain": gallery(pixels, titles, most),
                "least_certain": gallery(pixels, titles, least),
                "embedding": pictures.embedding(
                    points, labels, probabilities.argmax(axis=1), shown.classes
                ),
                "calibration": figures.reliability(labels, probabilities, shown.classes),
                **({} if learning is None else {"learning_curve": pictures.learning(learning)}),
                "layer_activations": pictures.activations(
                    pixels[most[0]], explain.activations(network, pixels[most[0]])
                ),
            },
            notes=[NOTES[study.part].format(what="images")],
            facts={
                "model": f"{model.name} version {model.version}, {model.uri}",
                "run of the model": model.run_id,
                "data": f"{images.name}, {settings.dataset.source.name}",
                "data digest": images.digest,
                "images": f"{len(images.frame)} of {study.part.name}",
                "embedding by": study.embedding.name,
            },
            captions=CAPTIONS | {"other_kinds": others.CAPTION, "learning_curve": CAPTION},
            summary=[
                f"{model.name} version {model.version} is right for "
                f"{words.percent(scores['accuracy'])} of "
                f"{len(labels):,} {study.part.name} images; its probabilities are "
                f"{100 * gap:.1f} points off on average.",
                *([verdict] if verdict else []),
            ],
            first=("grad_cam", "do the predictions depend on the finding?"),
        )
        run.log_report(report)
        return report


def studied(images: Images, model: Registered, settings: ImageModelStudy) -> Images:
    """The images of `study.part` of the model's run, at most `study.images` of them.

    Raises `UserError` if the run was trained on other data.
    """
    check_digest(images.digest, model, settings.dataset)
    splits = fetch_table(model, "data/splits.csv")
    files = set(splits.loc[splits["split"] == settings.study.part.name, "file"])
    table = images.frame[images.frame["file"].isin(files)]
    if table.empty:
        raise UserError(f"run {model.run_id} has no {settings.study.part.name} images (study.part)")
    if len(table) > settings.study.images:
        share = settings.study.images / len(table)
        table = table.groupby("label").sample(frac=share, random_state=settings.seed).sort_index()
    return replace(images, frame=table.reset_index(drop=True))


def plane(pooled: np.ndarray, kind: Embedding, seed: int) -> np.ndarray:
    """Features (N, C) projected to a plane, (N, 2)."""
    if kind == Embedding.pca or len(pooled) < PERPLEXITY // 3:
        return PCA(2, random_state=seed).fit_transform(pooled)
    perplexity = min(PERPLEXITY, (len(pooled) - 1) / 3)
    return TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(pooled)


def calibration(labels: np.ndarray, probabilities: np.ndarray) -> tuple[pd.DataFrame, float]:
    """Predictions by their probability, and the expected calibration error."""
    table = bins(labels, probabilities)
    ends = zip(table.pop("low"), table.pop("high"), strict=True)
    table.insert(0, "probability", [f"{low:.1f} to {high:.1f}" for low, high in ends])
    return table, error(labels, probabilities)


def predictions(images: Images, probabilities: np.ndarray, points: np.ndarray) -> pd.DataFrame:
    """One row per image: probabilities, position on the plane, file, label, prediction."""
    names = np.array(images.classes)
    return pd.DataFrame(probabilities, columns=names).assign(
        x=points[:, 0],
        y=points[:, 1],
        file=images.frame["file"].to_numpy(),
        label=names[images.frame["label"]],
        answer=names[probabilities.argmax(axis=1)],
    )


def gallery(pixels: np.ndarray, titles: list[str], rows: Sequence[int] | np.ndarray) -> Figure:
    """The images of `rows` under their titles."""
    return figures.gallery([pixels[r] for r in rows], [titles[r] for r in rows], "no image")
