"""What the tests of deployments share: images in every guise, and a model in a store of its own."""

import importlib
import io
import re
import runpy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import requests
from PIL import Image

from datasets.common.images import Thresholds
from models.unlikeness import Reference
from tests.common import ROOT, deployments

SIDE = 96
"""Side of the model's images: a feature map of 3 x 3."""
LIMITS = {
    "MAX_BYTES": 2**20,
    "MAX_TOTAL_BYTES": 5 * 2**19,
    "MAX_PIXELS": 500_000,
    "MAX_REQUEST_PIXELS": 800_000,
    "MAX_TOTAL_PIXELS": 1_000_000,
    "MAX_IMAGES": 3,
    "MAX_READING": 6,
    "MAX_REQUESTS": 4,
}
READ_SECONDS = 8
FIRST = "resnet50v2ft/V1"
"""The deployment that everything is tested on; what may differ, on all."""
MODEL = "resnet50v2ft-kvasir4"
WINDOW = (40.0, 400.0)
"""DICOM window centre and width of its training."""

THRESHOLDS = Thresholds(unlikeness=8.0, classes=(0.6, 0.6, 0.6, 0.6))
"""When a model that judges abstains."""


CARD = "---\nlicense: other\n---\n\n# A card\n\nFor research. <b>Not</b> for diagnosis.\n"
"""The model card that its run logged."""


@dataclass(frozen=True)
class Trained:
    """A model as a training leaves it, in a store of its own."""

    deployment: str
    keras: Any
    onnx: Path
    run_id: str
    unfinished: str
    """Id of a run that still goes on, whose model is version 2."""
    environment: dict[str, str]
    reference: Reference | None = None
    """What unlikeness is measured against, if it is."""


def image_deployments() -> list[str]:
    """Deployments of image classifiers, as `<model>/V<N>`."""
    return [each for each in deployments() if (deploy(each) / "sample-input.jpg").is_file()]


def deploy(deployment: str) -> Path:
    return ROOT / "deploy" / deployment


def names(deployment: str) -> dict[str, Any]:
    """What the `common.py` of a deployment says: MODEL, LABELS, PAGE."""
    return runpy.run_path(str(deploy(deployment) / "common.py"))


def frame(label: int, seed: int, dataset: str = "kvasir4") -> Image.Image:
    """A generated image of a dataset; of a series the first."""
    draw = importlib.import_module(f"datasets.{dataset}.synthetic").draw
    drawn = draw(label, np.random.SeedSequence([label, seed]))
    return Image.fromarray(drawn if drawn.ndim == 3 else drawn[0])


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def odd_images() -> dict[str, bytes]:
    """The same kind of frame in every guise that a reader may get wrong."""
    image = frame(1, 0)
    grey = np.asarray(image.convert("L"))
    clear = image.convert("RGBA")
    clear.putalpha(Image.fromarray(grey))
    turned = Image.Exif()
    turned[0x0112] = 6
    return {
        "jpeg": encoded(image, "JPEG"),
        "jpeg turned by EXIF": encoded(image, "JPEG", exif=turned),
        "jpeg cmyk": encoded(image.convert("CMYK"), "JPEG"),
        "jpeg progressive grey": encoded(image.convert("L"), "JPEG", progressive=True),
        "png": encoded(image),
        "png transparent": encoded(clear),
        "png grey and alpha": encoded(clear.convert("LA")),
        "png palette": encoded(image.convert("P")),
        "png palette with transparency": encoded(image.convert("P"), transparency=0),
        "png 16 bit": encoded(Image.fromarray(grey.astype(np.uint16) * 257)),
        "png 1 bit": encoded(image.convert("1")),
        "gif": encoded(image, "GIF"),
        "webp": encoded(image, "WEBP"),
        "bmp": encoded(image, "BMP"),
        "ppm": encoded(image, "PPM"),
        "tiff float 0 to 1": encoded(Image.fromarray(grey.astype(np.float32) / 255), "TIFF"),
        "tiff lab": encoded(Image.merge("LAB", image.split()), "TIFF"),
        "jpeg 2000": encoded(image, "JPEG2000"),
        "one pixel": encoded(Image.new("RGB", (1, 1), (200, 20, 20))),
        "a line": encoded(Image.new("RGB", (700, 1), (200, 20, 20))),
        "the model's own size": encoded(image.resize((SIDE, SIDE))),
    }


def dicom_bytes(dataset: Any) -> bytes:
    """A DICOM file of a pydicom dataset."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def counters(service: str) -> dict[str, float]:
    """What the service at this address has counted itself, by name and labels."""
    text = requests.get(f"{service}/metrics").text
    return {k: float(v) for k, v in re.findall(r"^(sonda_\S+) (\S+)$", text, re.MULTILINE)}


def run_script(trained: Trained, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python deploy/<script> ...` beside the small model's registry, for its deployment."""
    script, *given = arguments
    if script == "deploy/predict.py" and "--deployment" not in given:
        given += ["--deployment", trained.deployment]
    return subprocess.run(
        [sys.executable, script, *given],
        cwd=ROOT,
        env=trained.environment,
        capture_output=True,
        text=True,
    )
