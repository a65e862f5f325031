"""The pictures of the README: from a real report, from the real page, and from the results.

    python -m docs.pictures report outputs/train/2026-11-24/20-24-49/report.html
    python -m docs.pictures page --deployment mobilenetv2ft/V1 --image frame.jpg
    python -m docs.pictures leak

`report` and `page` open headless Chromium; `page` serves the champion, or the newest challenger, of
`MLFLOW_TRACKING_URI`. Each writes one PNG below `docs/pictures/`.
"""

import argparse
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from docs import results
from docs.tables import model_name

PICTURES = Path(__file__).resolve().parent / "pictures"
LARGEST = 200_000
"""Bytes of a picture: a clone carries all of them."""
COLOURS = 256
WIDTH, HEIGHT = 1080, 1240
"""Pixels of the window; of the report so much is taken, of the page all that it is high."""
ANSWER_MS = 60_000
BAR, GAP = 0.36, 0.04
"""Width of a bar, and half of what lies between two; a group is 1 wide."""


@contextmanager
def window() -> Iterator[Any]:
    """A page of headless Chromium."""
    from playwright.sync_api import sync_playwright

    from tests.conftest import CHROMIUM_FLAGS

    path = shutil.which("chromium") or shutil.which("google-chrome")
    if not path:
        raise SystemExit("docs: pictures need chromium: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="en-GB")
        browser.close()


def save(png: bytes, name: str) -> Path:
    """Write `png` as `<name>.png`, of few colours. Raises `SystemExit` over `LARGEST`."""
    image = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS)
    PICTURES.mkdir(exist_ok=True)
    path = PICTURES / f"{name}.png"
    image.save(path, optimize=True)
    if path.stat().st_size > LARGEST:
        raise SystemExit(f"docs: {path} has {path.stat().st_size} bytes, over {LARGEST}")
    print(f"docs: wrote {path}, {image.width} x {image.height}, {path.stat().st_size} bytes")
    return path


def of_report(report: Path) -> None:
    """The top of a report."""
    if not report.is_file():
        raise SystemExit(f"docs: there is no report {report}: make train writes one")
    with window() as page:
        page.goto(report.resolve().as_uri())
        save(page.screenshot(), "report")


def of_page(deployment: str, image: Path) -> None:
    """The page of a deployment, with its answer about `image` and the heatmap."""
    from tests.servers import free_port, running

    port = free_port()
    command = ["deploy/serve.py", "--deployment", deployment, "--port", str(port)]
    with tempfile.TemporaryDirectory() as scratch, window() as page:
        environment = os.environ | {"BENTOML_HOME": scratch}
        with running(command, port, "/readyz", environment, Path(scratch, "log")) as server:
            page.set_viewport_size({"width": WIDTH, "height": HEIGHT // 2})
            page.goto(server.address)
            page.locator("#file").set_input_files(image)
            page.locator("#overlay").wait_for(state="visible", timeout=ANSWER_MS)
            save(page.screenshot(full_page=True), "page")


def of_leak() -> None:
    """Accuracy of the same training after a split at random and after one by cluster."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    found = pairs(results.load())
    if not found:
        raise SystemExit("docs: no data and model have results with both splits in docs/results/")
    figure, axes = plt.subplots(figsize=(7.2, 1.1 + 1.05 * len(found)), dpi=150)
    for place, pair in enumerate(found):
        sides = (("at random", "#c44e52", -1), ("by series", "#4c72b0", 1))
        for result, (words, colour, side) in zip(pair, sides, strict=True):
            value, *interval = result.metrics["accuracy"]
            low, high = interval or (value, value)
            y = place + side * (BAR / 2 + GAP)
            label = f"split {words}" if place == 0 else None
            axes.barh(y, value, BAR, color=colour, label=label)
            axes.plot([low, high], [y, y], color="black", linewidth=1.2)
            axes.text(0.02, y, f"{value:.3f}", va="center", color="white", fontweight="bold")
    axes.set_yticks(
        range(len(found)),
        [f"{one.data}\n{model_name(one)}, {one.count} images" for one, _ in found],
    )
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("accuracy on test, with 95 % interval")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, 1.0 + 0.25 / len(found)), ncols=2, frameon=False
    )
    out = io.BytesIO()
    figure.savefig(out, format="png", bbox_inches="tight")
    save(out.getvalue(), "leak")


def pairs(known: dict[str, results.Result]) -> list[tuple[results.Result, results.Result]]:
    """Results of the same data, model and weights, split at random and by cluster."""
    found = list(known.values())
    return [
        (one, other)
        for one in found
        for other in found
        if (one.split, other.split) == ("random", results.GROUPED)
        and not one.footnote
        and (one.data, one.model, one.weights) == (other.data, other.model, other.weights)
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make the pictures of the README.")
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("report").add_argument("report", type=Path)
    page = kinds.add_parser("page")
    page.add_argument("--deployment", required=True, help="<model>/V<N>")
    page.add_argument("--image", type=Path, required=True)
    kinds.add_parser("leak")
    given = parser.parse_args()
    if given.kind == "report":
        of_report(given.report)
    elif given.kind == "page":
        of_page(given.deployment, given.image)
    else:
        of_leak()


if __name__ == "__main__":
    main()
