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

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from conf.errors import UserError
from conf.schema import Dicom, ImageDataset, Source
from datasets.common import folders
from datasets.common.contract import ALL, Images, verify
from datasets.common.fetching import archives, download
from datasets.common.samples import Draw, generate

SPLITS = ("train", "validation", "test")


def load(
    config: ImageDataset, cache: Path, draw: Draw, slices: int = 1, drawn: Sequence[str] = ()
) -> Images:
    """The verified images of `config` (`conf.schema.ImageDataset`) from the source it names.

    `draw` makes the images of `source=sample`, `slices` at a time (`datasets.common.samples`).
    `drawn` names the classes that it knows; the default is `config.classes`, which chooses of them.
    """
    classes = list(config.classes)
    if len(set(classes)) < len(classes):
        raise UserError(f"dataset.classes={classes} names a class twice")
    _check_window(config.dicom)
    kept = Path(config.path).expanduser() if config.path else cache / "downloads" / config.name
    if config.source == Source.archives:
        table, rejected = _from_archives(config, kept)
    else:
        table, rejected = folders.scan(_folder(config, cache, kept, draw, slices, drawn), classes)
    counted = config.source in (Source.archives, Source.kaggle)
    return verify(table, rejected, config, cache, config.expected if counted else None)


def _check_window(dicom: Dicom) -> None:
    centre, width = dicom.centre, dicom.width
    if (centre is None) != (width is None) or (width is not None and width <= 1):
        raise UserError(
            f"dataset.dicom.centre={centre} with dataset.dicom.width={width}: give both, the width "
            "over 1, such as 40 and 400 for the soft tissue of a CT; or none, for each file's own"
        )


def _folder(
    config: ImageDataset, cache: Path, kept: Path, draw: Draw, slices: int, drawn: Sequence[str]
) -> Path:
    if config.source == Source.sample:
        return generate(draw, config, cache, slices, drawn)
    if config.source == Source.kaggle:
        if not config.kaggle:
            raise UserError("dataset.source=kaggle needs dataset.kaggle=<owner>/<dataset>")
        return download.kaggle(config.kaggle, kept)
    if not config.path:
        raise UserError(
            "dataset.source=directory needs dataset.path=/a/folder with one folder per class: "
            f"{', '.join(config.classes)}; dataset.source=sample draws images instead"
        )
    if not kept.is_dir():
        raise UserError(
            f"dataset.path={config.path!r} is no folder; expected one folder per class in it: "
            f"{', '.join(config.classes)}"
        )
    return kept


def _from_archives(config: ImageDataset, kept: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The set, read from one archive per split, or from one archive of the whole set.

    Each archive is unpacked into its own folder. An archive of the whole set is read like any
    folder, with or without splits.
    """
    if unknown := sorted(set(config.archives) - {*SPLITS, ALL}):
        raise UserError(f"dataset.archives.{unknown[0]}: choices are {', '.join(SPLITS)} or {ALL}")
    given = {name: (each.uri, each.sha256) for name, each in config.archives.items() if each.uri}
    if len(given) > 1 and ALL in given:
        raise UserError(
            f"dataset.archives.{ALL} holds the whole set: leave out those of "
            f"{', '.join(sorted(set(given) - {ALL}))}, or it"
        )
    if missing := [s for s in SPLITS if s not in given and ALL not in given]:
        wanted = ALL if ALL in config.archives else missing[0]
        raise UserError(
            f"dataset.source=archives needs dataset.archives.{wanted}.uri: a path, an http(s) "
            "URL or a Google Drive link (the last two with a sha256)"
        )
    tables = []
    for name in filter(given.get, (*SPLITS, ALL)):
        uri, sha256 = given[name]
        path = download.fetch(uri, sha256, kept)
        # Named by content: a changed archive is unpacked again, an unchanged one never.
        folder = kept / f"{name}-{download.file_sha256(path)[:12]}"
        split = "" if name == ALL else name
        tables.append(folders.scan(archives.extract(path, folder), list(config.classes), split))
    return (
        pd.concat([table for table, _ in tables], ignore_index=True),
        pd.concat([rejected for _, rejected in tables], ignore_index=True),
    )
