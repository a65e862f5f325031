r"""What identifies an image: its bytes, and what it looks like.

Each file is read once. The answers are kept in one SQLite file, keyed by path, size and time of
change, so the next run on the same data starts at once and a killed one goes on where it was.

Near-duplicates are images whose 64-bit perceptual hashes (pHash of the imagehash library) differ
in few bits; clusters are the connected components of that relation, so A and C share a cluster
when both resemble B. With \(N\) images the comparison is \(O(N^2)\), done in blocks: memory grows
with \(N\) only.
"""

import hashlib
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import astuple, dataclass
from itertools import islice
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
from PIL import Image
from rich.progress import track
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from datasets.common import disk
from datasets.common.images import BadImage, read_image

log = logging.getLogger(__name__)

BLOCK = 256
"""Files between two writes to the cache: what a killed run does again."""
PAIRS = 1 << 24
"""Pairs of hashes compared at a time: 128 MB."""
CACHE = "images-v1.sqlite"
"""Another name whenever the reader or the hash changes, or old answers would stay."""
SCHEMA = """
create table if not exists images (
    path text, size integer, mtime integer, max_pixels integer,
    sha256 text, look text, width integer, height integer, reason text,
    primary key (path, size, mtime, max_pixels)) without rowid
"""


@dataclass(frozen=True)
class Measured:
    """What one file is: `look` is its perceptual hash in hex; `reason` says why it is unusable."""

    sha256: str
    look: str = ""
    width: int = 0
    height: int = 0
    reason: str = ""


def measure_one(path: Path, max_pixels: int) -> Measured:
    """Read, decode and hash one file."""
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return Measured("", reason=f"cannot be read: {error.strerror}")
    try:
        pixels = read_image(path, max_pixels)
    except BadImage as bad:
        return Measured(sha256, reason=bad.reason)
    height, width = pixels.shape[:2]
    return Measured(sha256, look(pixels), width, height)


def look(pixels: np.ndarray) -> str:
    """The 64-bit pHash of uint8 (H, W, 3), in hex."""
    return str(imagehash.phash(Image.fromarray(pixels)))


def measure(paths: list[str], max_pixels: int, cache: Path) -> pd.DataFrame:
    """`Measured` of each of `paths`, in their order: sha256, look, width, height, reason."""
    folder = cache / "digests"
    with disk.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(folder / CACHE, timeout=60)) as known:
            found = _measured([_key(path, max_pixels) for path in paths], known)
    names = ["sha256", "look", "width", "height", "reason"]
    return pd.DataFrame([astuple(answer) for answer in found], columns=names)


Key = tuple[str, int, int, int]


def _key(path: str, max_pixels: int) -> Key:
    try:
        status = os.stat(path)  # noqa: PTH116 -- half the time of Path.stat, for every image
    except OSError:
        return (path, -1, -1, max_pixels)
    return (path, status.st_size, status.st_mtime_ns, max_pixels)


def _measured(keys: list[Key], known: sqlite3.Connection) -> list[Measured]:
    """The answers for `keys`: those that are `known`, and new ones, which become known."""
    known.execute(SCHEMA)
    found = dict(_known(known, keys))
    new = [key for key in keys if key not in found]
    log.info("digests: %d images, %d of them known", len(keys), len(keys) - len(new))
    blocks = list(_blocks(new, BLOCK))
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for block in track(blocks, "reading images", disable=len(new) < BLOCK):
            answers = pool.map(lambda key: measure_one(Path(key[0]), key[3]), block)
            measured = dict(zip(block, answers, strict=True))
            rows = [(*k, *astuple(m)) for k, m in measured.items() if k[1] >= 0 and m.sha256]
            with known:
                known.executemany("insert or replace into images values (?,?,?,?,?,?,?,?,?)", rows)
            found.update(measured)
    return [found[key] for key in keys]


def _known(known: sqlite3.Connection, keys: list[Key]) -> Iterator[tuple[Key, Measured]]:
    query = (
        "select sha256, look, width, height, reason from images "
        "where path = ? and size = ? and mtime = ? and max_pixels = ?"
    )
    for key in keys:
        if key[1] >= 0 and (row := known.execute(query, key).fetchone()):
            yield key, Measured(*row)


def _blocks(items: Iterable[Key], size: int) -> Iterator[list[Key]]:
    rest = iter(items)
    while block := list(islice(rest, size)):
        yield block


def clusters(looks: list[str], groups: list[str], distance: int) -> np.ndarray:
    """Cluster numbers, int64 (N,): equal for near-duplicates and for equal non-empty groups.

    `looks` are 64-bit hashes in hex; two images belong together when at most `distance` bits
    differ. Numbers count up in the order in which clusters first occur.
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
    if named := [(row, group) for row, group in enumerate(groups) if group]:
        members = pd.DataFrame(named, columns=["row", "group"])
        first = members.groupby("group")["row"].transform("first")
        cluster = _joined(cluster, cluster[members["row"]], cluster[first], nodes=True)
    return pd.factorize(cluster)[0].astype(np.int64)


def _joined(label: np.ndarray, i: np.ndarray, j: np.ndarray, nodes: bool = False) -> np.ndarray:
    """`label` after the items `i` and `j` (or, with `nodes`, the labels) were joined pairwise."""
    a, b = (i, j) if nodes else (label[i], label[j])
    count = int(label.max()) + 1
    graph = coo_array((np.ones(len(a), dtype=bool), (a, b)), shape=(count, count))
    return connected_components(graph, directed=False)[1][label]


def digest(table: pd.DataFrame) -> str:
    """Hex sha256 of a set: its files' names, contents, labels and splits, in any order."""
    columns = table[["file", "sha256", "label", "split"]].astype(str)
    lines = sorted("\t".join(row) for row in columns.itertuples(index=False, name=None))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
