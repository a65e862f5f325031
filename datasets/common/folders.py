"""Folders of images, one folder per class, read as a table.

```text
root/<class>/*            no official split
root/<split>/<class>/*    train, validation (or val, valid) and test
root/manifest.csv         optional: file, label, split, group, source
```

Archives often wrap a set in one or more folders. Such wrappers are skipped, even if loose files lie
beside them. Folders and labels that are not in `dataset.classes` are left out, and the log names
them. If there is a manifest, only the files in it belong to the set (`datasets.common.manifest`).
"""

import logging
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from conf.errors import UserError
from datasets.common import manifest
from datasets.common.images import IGNORED, files, shown, why_not
from datasets.common.manifest import MANIFEST
from datasets.common.types import SPLITS

log = logging.getLogger(__name__)

SHOWN = 20
"""Folders named in a message."""
COLUMNS = ["path", "file", "label", "split", "group", "source"]
REJECTED = ["file", "reason"]


def scan(root: Path, classes: list[str], split: str = "") -> tuple[pd.DataFrame, pd.DataFrame]:
    """List the images below `root`; nothing is decoded.

    Returns two tables: the images, sorted by file, as path, file (relative, POSIX), label, split,
    group, source; and the rejected files, as file, reason. If `root` is one official `split`, each
    `file` begins with its name. An entry that cannot be opened as a file, or whose name is not
    UTF-8, is rejected; its `file` is the name with the bytes escaped.

    Raises `UserError` for a missing folder, a class without a folder, and a manifest that is wrong.
    """
    root = root.expanduser().absolute()
    if shown(root) != root.as_posix():
        raise UserError(f"'{shown(root)}': the name of the folder is not UTF-8; rename it")
    if not root.is_dir():
        raise UserError(f"{str(root)!r} is no folder; expected one folder per class in it")
    top = _top(root, classes, split)
    listing = top / MANIFEST
    if listing.is_file():
        table, rejected = _from_manifest(listing, classes)
    else:
        table, rejected = _from_folders(top, classes)
    if split:
        other = sorted(set(table["split"]) - {"", split})
        if other:
            raise UserError(f"{top} is the {split} split and holds a folder {other[0]}")
        table = table.assign(split=split, file=f"{split}/" + table["file"])
        rejected = rejected.assign(file=f"{split}/" + rejected["file"])
    return table.sort_values("file", ignore_index=True), rejected


def _visible(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"'{shown(folder)}' cannot be read: {error.strerror}") from error
    return [p for p in entries if not p.name.startswith(".") and p.name.casefold() not in IGNORED]


def _folders(folder: Path) -> list[str]:
    return [path.name for path in _visible(folder) if path.is_dir()]


def _top(root: Path, classes: list[str], split: str) -> Path:
    """The folder with the classes, splits or manifest: `root`, or a folder inside its wrappers."""
    top = root
    while not (top / MANIFEST).is_file():
        names = _folders(top)
        if len(names) != 1 or names[0] in classes:
            break
        if SPLITS.get(names[0].casefold(), split) != split:
            break
        if not _folders(top / names[0]) and not (top / names[0] / MANIFEST).is_file():
            break  # a folder of files is a class, if an unknown one
        top = top / names[0]
    return top


def _from_folders(top: Path, classes: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    names = _folders(top)
    splits = [name for name in names if name.casefold() in SPLITS and name not in classes]
    found: dict[str, str] = {}
    for name in splits:
        if (split := SPLITS[name.casefold()]) in found:
            raise UserError(f"{top} has two {split} splits: {found[split]} and {name}; keep one")
        found[split] = name
    if splits and (beside := sorted(set(names) - set(splits))):
        raise UserError(
            f"{top} has split folders ({', '.join(splits)}) and, beside them, {beside[0]}; "
            "expected either splits that hold class folders, or class folders alone"
        )
    rows: list[tuple[Path, int, str]] = []
    rejected: list[tuple[str, str]] = []
    loose = [path for path in _visible(top) if path.is_file() and _is_image_name(path)]
    for split, home in [(s, top / n) for s, n in found.items()] or [("", top)]:
        _check_classes(home, _folders(home), classes)
        if home != top:
            loose += [path for path in _visible(home) if path.is_file()]
        for label, name in enumerate(classes):
            for path in files(home / name):
                if reason := why_not(path):
                    rejected.append((shown(path.relative_to(top)), reason))
                else:
                    rows.append((path, label, split))
    table = pd.DataFrame(
        [(str(p), p.relative_to(top).as_posix(), label, s, "", "") for p, label, s in rows],
        columns=COLUMNS,
    )
    rejected += [(shown(path.relative_to(top)), "lies outside of every class") for path in loose]
    return table.astype({"label": int}), pd.DataFrame(rejected, columns=REJECTED, dtype=object)


def _check_classes(home: Path, names: Collection[str], classes: list[str]) -> None:
    """Raise `UserError` unless each class is among `names` (folders or labels); log the others."""
    if missing := [name for name in classes if name not in names]:
        near = get_close_matches(missing[0], names, n=1)
        raise UserError(
            f"{str(home)!r} has no class {missing[0]}; dataset.classes=[{', '.join(classes)}], "
            f"choices: {_listed(sorted(names)[:SHOWN]) or 'none, it holds no folders'}"
            + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
            + (f"; did you mean {shown(near[0])}?" if near else "")
        )
    if others := sorted(set(names) - set(classes)):
        log.warning(
            "%s: left out, as dataset.classes=[%s] does not name them: %s",
            home, ", ".join(classes), _listed(others),
        )  # fmt: skip


def _listed(names: list[str]) -> str:
    return ", ".join(map(shown, names))


def _is_image_name(path: Path) -> bool:
    suffixes = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".dcm")
    return path.suffix.casefold() in suffixes


def _from_manifest(listing: Path, classes: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    listed = manifest.read(listing, classes)
    top = listing.parent
    _check_classes(top, set(listed["label"]), classes)
    rows, rejected = [], []
    for row in listed[listed["label"].isin(classes)].itertuples():
        path = top / row.file
        if reason := why_not(path):
            rejected.append((row.file, f"listed in {MANIFEST}, but {reason}"))
        else:
            name = path.relative_to(top).as_posix()
            label = classes.index(row.label)
            rows.append((str(path), name, label, row.split, row.group, row.source))
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"label": int})
    known = set(listed["file"]) | set(table["file"])
    for path in files(top):
        name = shown(path.relative_to(top))
        if name not in known and _is_image_name(path):
            rejected.append((name, f"not listed in {MANIFEST}"))
    return table, pd.DataFrame(rejected, columns=REJECTED, dtype=object)
