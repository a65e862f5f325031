r"""The identity of an image: its bytes (sha256) and its appearance (perceptual hash).

Each file is read once. The measurements are cached in one SQLite file, keyed by path, size and time
of change. The next run on the same data starts at once, and a killed run continues where it was.

A multi-frame DICOM file holds several images of one series. The identity of a frame is a digest of
the file's sha256 and the number of the frame. A DICOM window of the settings is part of the digest
too: another window gives other data.

Near-duplicates are images whose 64-bit perceptual hashes (pHash of the imagehash library) differ
in few bits; clusters are the connected components of that relation, so A and C share a cluster
when both resemble B. With \(N\) images the comparison is \(O(N^2)\), done in blocks: memory grows
with \(N\) only.
"""

import functools
import hashlib
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import astuple, dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pandas as pd
from PIL import Image
from rich.progress import track
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from datasets.common.fetching import disk
from datasets.common.images import READER, BadImage, Kind, Source, Window, header, opened, read

log = logging.getLogger(__name__)

BLOCK = 256
"""Files between two writes to the cache: a killed run measures at most so many again."""
PAIRS = 1 << 24
"""Pairs of hashes compared at a time: 128 MB."""
CACHE = "images-v2.sqlite"
"""The name changes with the columns and the hash; the version of the reader is in each key."""
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
SCHEMA = """
create table if not exists images (
    path text, size integer, mtime integer, reading text, frame integer,
    sha256 text, look text, width integer, height integer, reason text, series text,
    primary key (path, size, mtime, reading, frame)) without rowid
"""


@dataclass(frozen=True)
class Measured:
    """One image: `look` is its perceptual hash in hex; `reason` says why it cannot be used."""

    sha256: str
    look: str = ""
    width: int = 0
    height: int = 0
    reason: str = ""
    series: str = ""
    """The series that the file names, or, of several frames, the file: it stays in one split."""


def measure_one(path: Path, max_pixels: int, window: Window | None = None) -> list[Measured]:
    """Read, decode and hash one file: its image, or its frames in their order."""
    sha256 = ""
    try:
        with opened(path) as file:
            content: Any = file  # a BinaryIO is all that is needed, but its types ask for more
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
            return list(_measured(file, sha256, max_pixels, window))
    except BadImage as bad:
        return [Measured(sha256, reason=why(bad))]


def why(bad: BadImage) -> str:
    """The reason why a dataset leaves an image out, with the setting that decides it."""
    return bad.reason + (" (dataset.max_pixels)" if bad.kind == Kind.LARGE else "")


def _measured(
    file: Source, sha256: str, max_pixels: int, window: Window | None
) -> Iterator[Measured]:
    known = header(file)
    several = known.frames > 1
    series = known.series or (sha256 if several else "")
    seen = ""
    if known.format == "DICOM" and window is not None and window.width is not None:
        seen = f"{window.centre} {window.width}"
    for number, picture in enumerate(read(file, max_pixels, window)):
        what = f"{sha256} {number} {seen}" if several or seen else ""
        identity = hashlib.sha256(what.encode()).hexdigest() if what else sha256
        yield Measured(identity, look(picture.pixels), picture.width, picture.height, series=series)


def look(pixels: np.ndarray) -> str:
    """The 64-bit pHash of uint8 (H, W, 3), in hex."""
    return str(imagehash.phash(Image.fromarray(pixels)))


def measure(
    paths: list[str], max_pixels: int, cache: Path, window: Window | None = None
) -> pd.DataFrame:
    """One row an image, in the order of `paths`: row, frame, and the fields of `Measured`.

    `row` is the index in `paths`. `frame` is the suffix that names one image of several: "", or
    `#0`, `#1`, ... `window` (`conf.schema.Dicom`) is the DICOM window centre and width.
    """
    folder = cache / "digests"
    seen = "" if window is None else (window.centre, window.width)
    keys = [_key(path, f"{READER} {max_pixels} {seen}") for path in paths]
    one = functools.partial(measure_one, max_pixels=max_pixels, window=window)
    with disk.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _sound(folder / CACHE)
        with closing(sqlite3.connect(folder / CACHE, timeout=60)) as known:
            found = _answers(keys, one, known)
    rows = [
        (row, f"#{number}" if len(images) > 1 else "", *astuple(image))
        for row, images in enumerate(found)
        for number, image in enumerate(images)
    ]
    names = ["row", "frame", *(field.name for field in fields(Measured))]
    return pd.DataFrame(rows, columns=names)


def _sound(path: Path) -> None:
    """Remove a damaged database: its images are measured again."""
    try:
        with closing(sqlite3.connect(path, timeout=60)) as known:
            [(state,), *_] = known.execute("pragma quick_check(1)").fetchall()
            [(page,)] = known.execute("pragma page_size").fetchall()
            if path.stat().st_size % page:  # SQLite would read zeros where the last page is cut
                state = "its last page is cut"
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in DAMAGED:
            raise
        state = str(error)
    if state != "ok":
        disk.absent(path, state)
        for name in (f"{path.name}-journal", path.name):  # a journal would be played into the next
            path.with_name(name).unlink(missing_ok=True)


Key = tuple[str, int, int, str]


def _key(path: str, reading: str) -> Key:
    try:
        status = os.stat(path)  # noqa: PTH116 -- half the time of Path.stat, for every image
    except OSError:
        return (path, -1, -1, reading)
    return (path, status.st_size, status.st_mtime_ns, reading)


def _answers(
    keys: list[Key], one: Callable[[Path], list[Measured]], known: sqlite3.Connection
) -> list[list[Measured]]:
    """The images of `keys`: from the cache `known`, or measured by `one` and then cached."""
    known.execute(SCHEMA)
    found = dict(_known(known, keys))
    new = [key for key in keys if key not in found]
    log.info("digests: %d files, %d of them known", len(keys), len(keys) - len(new))
    blocks = list(_blocks(new, BLOCK))
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for block in track(blocks, "reading images", disable=len(new) < BLOCK):
            answers = pool.map(lambda key: one(Path(key[0])), block)
            measured = dict(zip(block, answers, strict=True))
            rows = [
                (*key, frame, *astuple(image))
                for key, images in measured.items()
                for frame, image in enumerate(images)
                if key[1] >= 0 and image.sha256
            ]
            with known:
                known.executemany(f"insert or replace into images values (?{',?' * 10})", rows)
            found.update(measured)
    return [found[key] for key in keys]


def _known(known: sqlite3.Connection, keys: list[Key]) -> Iterator[tuple[Key, list[Measured]]]:
    query = (
        "select sha256, look, width, height, reason, series from images "
        "where path = ? and size = ? and mtime = ? and reading = ? order by frame"
    )
    for key in keys:
        if key[1] >= 0 and (rows := known.execute(query, key).fetchall()):
            yield key, [Measured(*row) for row in rows]


def _blocks(items: Iterable[Key], size: int) -> Iterator[list[Key]]:
    rest = iter(items)
    while block := list(islice(rest, size)):
        yield block


def clusters(
    looks: list[str], groups: list[str], distance: int, series: list[str] | None = None
) -> np.ndarray:
    """Cluster numbers, int64 (N,): equal for near-duplicates, equal groups and equal series.

    `groups` come from the manifest and `series` from the files; "" is none. `looks` are 64-bit
    hashes in hex; two images belong together when at most `distance` bits differ. Clusters are
    numbered in the order in which they first occur.
    """
    if not looks:
        return np.zeros(0, dtype=np.int64)
    bits, inverse = np.unique(
        np.array([int(look, 16) for look in looks], dtype=np.uint64), return_inverse=True
    )
    label = np.arange(len(bits))
    rows = max(1, PAIRS // len(bits))
    for start in range(0, len(bits), rows):
        block = bits[start : start + rows]
        near = np.bitwise_count(block[:, None] ^ bits[None, :]) <= distance  # (rows, N)
        i, j = np.nonzero(near)
        label = _joined(label, i + start, j)
    cluster = label[inverse]
    for names in (groups, series or []):
        if named := [(row, name) for row, name in enumerate(names) if name]:
            members = pd.DataFrame(named, columns=["row", "name"])
            first = members.groupby("name")["row"].transform("first")
            cluster = _joined(cluster, cluster[members["row"]], cluster[first], nodes=True)
    return pd.factorize(cluster)[0].astype(np.int64)


def _joined(label: np.ndarray, i: np.ndarray, j: np.ndarray, nodes: bool = False) -> np.ndarray:
    """`label` after the items `i` and `j` (or, with `nodes`, the labels) were joined pairwise."""
    a, b = (i, j) if nodes else (label[i], label[j])
    count = int(label.max()) + 1
    graph = coo_array((np.ones(len(a), dtype=bool), (a, b)), shape=(count, count))
    return connected_components(graph, directed=False)[1][label]


def digest(table: pd.DataFrame) -> str:
    """Hex sha256 of a set: names, contents, labels and splits of the files, in any order."""
    columns = table[["file", "sha256", "label", "split"]].astype(str)
    lines = sorted("\t".join(row) for row in columns.itertuples(index=False, name=None))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
