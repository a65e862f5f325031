"""Rows on disk that any run fills in any order; incomplete rows are never read."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from datasets.common.fetching import disk
from datasets.common.fetching.locks import Lock

SAVE_SECONDS = 15
"""A kill loses at most so many seconds of work, and one batch."""


class Rows:
    """Rows float16 (N, ...) in one file, filled in any order; `done` (N,) marks complete rows.

    `done` has its own file, which is written after the rows are on disk: a row that it marks is
    complete, even after a kill. A file of another size or shape counts as absent, with its rows.
    Call `fill` within `alone`: if two processes need the same rows, only one computes them.
    """

    def __init__(self, path: Path, count: int, shape: tuple[int, ...]) -> None:
        self.path, self.shape = path, (count, *shape)
        self.done = np.zeros(count, bool)
        self._mask = path.with_suffix(".done.npy")
        if self._whole():
            self._refresh()
        else:
            with self.alone():
                pass

    def _whole(self) -> bool:
        return disk.whole_array(self.path, np.float16, self.shape)

    def _refresh(self) -> None:
        self._start = self.path.stat().st_size - self.row_bytes * self.shape[0]
        self.done |= self._noted()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """In this context no other process fills the file, and `done` is up to date."""
        with Lock(self.path.with_suffix(".lock"), f"the filling of {self.path}", wait=True):
            if not self._whole():
                self._create()
            self._refresh()
            yield

    def _create(self) -> None:
        self.done[:] = False
        self._mask.unlink(missing_ok=True)
        disk.remove_drafts(self.path)
        with disk.atomic_write(self.path) as draft, draft.open("wb") as file:
            header = {"descr": "<f2", "fortran_order": False, "shape": self.shape}
            np.lib.format.write_array_header_1_0(file, header)
            file.truncate(file.tell() + self.row_bytes * self.shape[0])

    def _noted(self) -> np.ndarray:
        if disk.whole_array(self._mask, bool, self.done.shape):
            return np.load(self._mask)
        return np.zeros_like(self.done)

    @property
    def row_bytes(self) -> int:
        """Size of one row in bytes."""
        return 2 * int(np.prod(self.shape[1:]))

    def missing(self, rows: np.ndarray) -> np.ndarray:
        """Those of `rows` that are not filled yet, in ascending order."""
        return np.unique(rows[~self.done[rows]])

    def read(self, rows: np.ndarray) -> np.ndarray:
        """`rows` as float16 (len(rows), ...); the file is mapped for this call alone."""
        return np.load(self.path, mmap_mode="r")[rows]

    def fill(self, rows: np.ndarray, batches: Iterator[np.ndarray]) -> None:
        """Write `batches`, the values of `rows` in order, and save `done` every few seconds."""
        noted, position = time.monotonic(), 0
        with self.path.open("r+b") as file, disk.writing(self.path.parent):
            for values in batches:
                chosen = rows[position : position + len(values)]
                position += len(values)
                for row, value in zip(chosen, values, strict=True):
                    file.seek(self._start + int(row) * self.row_bytes)
                    file.write(value.tobytes())
                self.done[chosen] = True
                if position == len(rows) or time.monotonic() - noted > SAVE_SECONDS:
                    file.flush()
                    os.fsync(file.fileno())
                    self._note()
                    noted = time.monotonic()

    def _note(self) -> None:
        self.done |= self._noted()
        with disk.atomic_write(self._mask) as draft:
            np.save(draft, self.done)
