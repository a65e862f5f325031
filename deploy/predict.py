"""Classify images on the command line, without a server.

    python deploy/predict.py image.jpg         a table
    python deploy/predict.py folder > out.csv  a line for each file below the folder

It reads images and asks the model as the service does, so the probabilities are the same.
"""

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serve import DEFAULT, find_deployment
from serving.classifier import ONNX, Classifier
from serving.importing import NotServable, Source, champion_or_newest, find, run_command
from serving.limits import Limits
from serving.loading import Facts
from serving.refusals import Refused


def load(source: Source) -> Classifier:
    """The model of `source`, ready. Raises `NotServable` where it is none of images."""
    from mlflow.artifacts import download_artifacts

    facts = Facts(source.name, source.version, source.run_id, source.classes)
    folder = Path(download_artifacts(source.uri))
    if not (folder / ONNX).is_file():
        raise NotServable(f"{source.name} does not classify images: serve it, and send it records")
    classifier = Classifier(facts, folder, Limits.from_environment())
    classifier.load()
    return classifier


def rows(classifier: Classifier, files: list[Path], root: Path) -> Iterator[dict[str, Any]]:
    """For each file its name, label and probabilities, or the error that it gives."""
    for path in files:
        row: dict[str, Any] = {"file": path.relative_to(root).as_posix()}
        try:
            with path.open("rb") as file:
                content = file.read(classifier.limits.max_bytes + 1)
            if len(content) > classifier.limits.max_bytes:
                raise Refused(413, "too_large", f"more than {classifier.limits.max_bytes} bytes")
            answer = classifier.classify([content])[0]
            row |= {"label": answer["label"], **answer["probabilities"]}
        except (Refused, OSError) as error:
            row["error"] = str(error)
        yield row


def predict(image: Path, deployment: str, model_uri: str) -> None:
    """Print a table for a file, CSV for a folder; a note on the model goes to stderr."""
    if not image.exists():
        raise NotServable(
            f"there is no {image}: name an image or a folder (make predict IMAGE=...)"
        )
    files = sorted(p for p in image.rglob("*") if p.is_file()) if image.is_dir() else [image]
    if not files:
        raise NotServable(f"the folder {image} holds no file")
    _, name = find_deployment(deployment)
    if model_uri:
        source, kind = find(model_uri, name), model_uri
    else:
        source, kind = champion_or_newest(name)
    classifier = load(source)
    print(f"{source.name} version {source.version} ({kind}), run {source.run_id}", file=sys.stderr)
    if image.is_dir():
        columns = ["file", "label", *source.classes, "error"]
        writer = csv.DictWriter(sys.stdout, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows(classifier, files, image))
        return
    row = next(rows(classifier, files, image.parent))
    if "error" in row:
        raise NotServable(f"{image}: {row['error']}")
    width = max(map(len, source.classes))
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
