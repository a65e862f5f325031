"""Classify images on the command line, without a server.

    python deploy/predict.py image.jpg         a table
    python deploy/predict.py folder > out.csv  a line for each image below the folder

It uses the reader and the classifier of the service, so the probabilities are the same.
"""

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from datasets.common.images import (
    NOT_SURE,
    UNLIKE,
    BadImage,
    Kind,
    Verdict,
    files,
    opened,
    score_files,
    shown,
)
from deploy.importing.connection import NotServable, run_command
from deploy.importing.registry import Source, champion_or_newest, find
from deploy.importing.store import check_source
from deploy.serve import DEFAULT, find_deployment
from deploy.serving.http.limits import Limits
from deploy.serving.http.refusals import Refused
from deploy.serving.http.servable import Facts
from deploy.serving.images.classifier import ONNX, Classifier

SAID = {
    UNLIKE: "No prediction: this image is unlike the training images.",
    NOT_SURE: "No prediction: the model is not sure. Possible: {}.",
}
"""What the table says first for each reason to abstain."""


def load(source: Source) -> Classifier:
    """The classifier of `source`, loaded. Raises `NotServable` if it does not classify images."""
    from mlflow.artifacts import download_artifacts

    facts = Facts(
        source.name,
        source.version,
        source.run_id,
        source.classes,
        source.window,
        source.abstention,
    )
    folder = Path(download_artifacts(source.uri))
    check_source(folder, source)
    if not (folder / ONNX).is_file():
        raise NotServable(f"{source.name} does not classify images: serve it, and send it records")
    classifier = Classifier(facts, folder, Limits.from_environment())
    classifier.load()
    return classifier


def rows(classifier: Classifier, paths: list[Path], root: Path) -> Iterator[dict[str, Any]]:
    """A row for each file: its name, label and probabilities, or its error.

    A DICOM file of several frames has a row for each.
    """
    classes, most = classifier.facts.classes, classifier.limits.max_bytes

    def load(path: Path) -> list[np.ndarray]:
        with opened(path) as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise BadImage(Kind.LARGE, f"more than {most} bytes")
        try:
            return classifier.frames(content)
        except Refused as refused:
            raise BadImage(Kind.UNREADABLE, str(refused)) from None

    for scored in score_files(paths, load, classifier.judge):
        row: dict[str, Any] = {"file": shown(scored.path.relative_to(root))}
        if scored.probabilities is None:
            yield row | {"error": scored.bad.reason if scored.bad else ""}
            continue
        row["frame"] = "" if scored.frame is None else scored.frame
        row["label"] = classes[int(scored.probabilities.argmax())]
        yield (
            row
            | dict(zip(classes, map(float, scored.probabilities), strict=True))
            | withheld(scored.verdict)
        )


def withheld(verdict: Verdict) -> dict[str, str]:
    """The columns of a verdict as text; empty for a model without thresholds."""
    said = {True: "true", False: "false", None: ""}
    return {
        "abstained": said[verdict.abstained],
        "abstained_because": verdict.reason or "",
        "set": "|".join(verdict.set or ()),
    }


def predict(image: Path, deployment: str, model_uri: str) -> None:
    """Print a table for a file, CSV for a folder; a note on the model goes to stderr."""
    if not image.exists():
        raise NotServable(
            f"there is no {shown(image)}: name an image or a folder (make predict IMAGE=...)"
        )
    found = sorted(files(image)) if image.is_dir() else [image]
    if not found:
        raise NotServable(f"the folder {shown(image)} holds no file")
    _, name = find_deployment(deployment)
    if model_uri:
        source, kind = find(model_uri, name), model_uri
    else:
        source, kind = champion_or_newest(name)
    classifier = load(source)
    print(f"{source.name} version {source.version} ({kind}), run {source.run_id}", file=sys.stderr)
    if image.is_dir():
        columns = ["file", "frame", "label", *source.classes, *withheld(Verdict()), "error"]
        writer = csv.DictWriter(sys.stdout, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows(classifier, found, image))
        return
    width = max(map(len, source.classes))
    for row in rows(classifier, found, image.parent):
        if "error" in row:
            raise NotServable(f"{shown(image)}: {row['error']}")
        if row["frame"] != "":
            print(f"frame {row['frame']}")
        if row["abstained"] == "true":
            possible = row["set"].replace("|", ", ") or "no class"
            print(SAID[row["abstained_because"]].format(possible))
        for label in sorted(source.classes, key=lambda each: -row[each]):
            bar = "#" * round(40 * row[label])
            print(f"{label:<{width}}  {row[label]:7.2%}  {bar}")
    print("For research, not for diagnosis.", file=sys.stderr)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Classify an image, or all of a folder.")
    parser.add_argument("image", type=Path)
    parser.add_argument("--deployment", default=DEFAULT, help="<model>/V<N>")
    parser.add_argument("--model-uri", default="", help="runs:/... or models:/...")
    given = parser.parse_args()
    run_command(lambda: predict(given.image, given.deployment, given.model_uri))


if __name__ == "__main__":
    main()
