"""What a new deployment is tried with: generated data of its dataset, as a file and as JSON."""

import base64
import importlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from conf.compose import composed

IMAGES = 5
"""Per class in the smallest sample, of which one is taken."""
ROWS = 3


def write_sample_inputs(home: Path, dataset: str, task: str) -> list[Path]:
    """Write `sample-input.*` of `dataset` into the deployment `home`; the files."""
    importlib.invalidate_caches()
    build = importlib.import_module(f"datasets.{dataset}.dataset").build
    small = [f"dataset.sample_images={IMAGES}"] if task == "image" else []
    config = composed(f"+dataset={dataset}", "dataset.source=sample", *small).dataset
    with tempfile.TemporaryDirectory() as cache:
        data = build(config, Path(cache))
        if task == "image":
            file, content = _image(home, Path(data.frame["path"].iat[0]))
        else:
            file, content = _rows(home, data.frame[list(data.features)].head(ROWS))
    document = home / "sample-input.json"
    document.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
    return [file, document]


def _image(home: Path, source: Path) -> tuple[Path, dict[str, Any]]:
    file = home / f"sample-input{source.suffix}"
    shutil.copy(source, file)
    kind = "png" if source.suffix == ".png" else "jpeg"
    encoded = base64.b64encode(source.read_bytes()).decode()
    return file, {"image": f"data:image/{kind};base64,{encoded}"}


def _rows(home: Path, rows: Any) -> tuple[Path, dict[str, Any]]:
    file = home / "sample-input.csv"
    rows.to_csv(file, index=False)
    return file, {"records": json.loads(rows.to_json(orient="records"))}
