"""The four sources of an image dataset, chosen by `dataset.source`.

```mermaid
flowchart LR
    sample -->|generate| F[folders]
    directory -->|dataset.path| F
    archives -->|fetch, extract| F
    kaggle -->|kagglehub| F
    F --> T[table] --> V{contract} --> I[Images]
```
"""

from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from conf.errors import UserError
from conf.schema import Source
from datasets.common import archives, download, folders
from datasets.common.contract import Images, verify
from datasets.common.samples import Draw, generate

SPLITS = ("train", "validation", "test")


def load(config: DictConfig, cache: Path, draw: Draw) -> Images:
    """The verified images of `config` (`conf.schema.ImageDataset`) from the source it names."""
    classes = list(config.classes)
    if len(set(classes)) < len(classes):
        raise UserError(f"dataset.classes={classes} names a class twice")
    kept = Path(config.path).expanduser() if config.path else cache / "downloads" / config.name
    if config.source == Source.archives:
        table, rejected = _from_archives(config, kept)
    else:
        table, rejected = folders.scan(_folder(config, cache, kept, draw), classes)
    counted = config.source in (Source.archives, Source.kaggle) and config.expected
    return verify(table, rejected, config, cache, dict(config.expected) if counted else None)


def _folder(config: DictConfig, cache: Path, kept: Path, draw: Draw) -> Path:
    if config.source == Source.sample:
        return generate(draw, config, cache)
    if config.source == Source.kaggle:
        if not config.kaggle:
            raise UserError("dataset.source=kaggle needs dataset.kaggle=<owner>/<dataset>")
        return download.kaggle(config.kaggle, kept)
    if not config.path:
        raise UserError(
            "dataset.source=directory needs dataset.path=/a/folder with one folder per class: "
            f"{', '.join(config.classes)}"
        )
    if not kept.is_dir():
        raise UserError(
            f"dataset.path={config.path!r} is no folder; expected one folder per class in it: "
            f"{', '.join(config.classes)}"
        )
    return kept


def _from_archives(config: DictConfig, kept: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The archives of the three splits, each unpacked beside the others and read as its split."""
    missing = [s for s in SPLITS if s not in config.archives or not config.archives[s].uri]
    if missing:
        raise UserError(
            f"dataset.source=archives needs dataset.archives.{missing[0]}.uri: a path, an http(s) "
            "URL or a Google Drive link (the last two with a sha256)"
        )
    if unknown := sorted(set(config.archives) - set(SPLITS)):
        raise UserError(f"dataset.archives.{unknown[0]}: choices are {', '.join(SPLITS)}")
    tables = []
    for split in SPLITS:
        archive = config.archives[split]
        path = download.fetch(archive.uri, archive.sha256, kept)
        # Named by content: a changed archive is unpacked again, an unchanged one never.
        folder = kept / f"{split}-{download.file_sha256(path)[:12]}"
        tables.append(folders.scan(archives.extract(path, folder), list(config.classes), split))
    return (
        pd.concat([table for table, _ in tables], ignore_index=True),
        pd.concat([rejected for _, rejected in tables], ignore_index=True),
    )
