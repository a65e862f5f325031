"""Write the names of datasets and trainings in dvc.yaml, from the files in conf/pipeline.

python -m conf.stages

DVC cannot look for files itself, so this module writes its lists; a test compares them.
"""

import re
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

ROOT = Path(__file__).resolve().parents[1]


def found(root: Path = ROOT) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Names of the `dataset_<name>` pipelines, and the parts of each `train_<name>` pipeline.

    The parts are model, dataset and version.
    """
    pipelines = root / "conf" / "pipeline"
    datasets = sorted(path.stem.removeprefix("dataset_") for path in pipelines.glob("dataset_*"))
    trainings = {}
    for path in sorted(pipelines.glob("train_*.yaml")):
        config: Any = OmegaConf.load(path)
        groups = {k: v for entry in config.defaults if entry != "_self_" for k, v in entry.items()}
        trainings[path.stem.removeprefix("train_")] = {
            "model": groups["/model"],
            "dataset": groups["/dataset"],
            "version": config.version,
        }
    return datasets, trainings


def listed(root: Path = ROOT) -> tuple[list[str], dict[str, dict[str, str]]]:
    """The same names and parts, as dvc.yaml lists them."""
    document: Any = OmegaConf.to_container(OmegaConf.load(root / "dvc.yaml"))
    stages = document["stages"]
    return stages["dataset"]["matrix"]["dataset"], stages["train"]["foreach"]


def write(root: Path = ROOT) -> None:
    """Write the result of `found` into dvc.yaml; the rest of the file does not change."""
    path = root / "dvc.yaml"
    datasets, trainings = found(root)
    items = [
        f"\n      {name}: {{{', '.join(f'{k}: {v}' for k, v in parts.items())}}}"
        for name, parts in trainings.items()
    ]
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"(\n +dataset: )\[.*?\]", rf"\1[{', '.join(datasets)}]", text, count=1)
    text = re.sub(
        r"(\n    foreach:).*?(?=\n    do:)", rf"\1{''.join(items) or ' {}'}", text, flags=re.DOTALL
    )
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
