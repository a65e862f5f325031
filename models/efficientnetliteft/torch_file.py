"""Read tensors of a PyTorch file as arrays, without PyTorch and without running code of the file.

A file of PyTorch before version 1.6 is a sequence of pickles, followed by the numbers:

```mermaid
flowchart LR
    magic --> protocol --> system["byte order"] --> views["name: view of a storage"]
    views --> keys["keys of the storages"] --> numbers["count and numbers of each storage"]
```

A pickle can import and call anything that it names. This reader maps the four names of such a file
to its own constructors, and refuses every other name before anything is imported.
"""

import collections
import io
import math
import pickle
from typing import Any, NamedTuple

import numpy as np

from conf.errors import UserError

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
"""First two values of a file (`torch/serialization.py`)."""
DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}
"""Types of storages in files of weights, and the dtype of their numbers."""


class Storage(NamedTuple):
    """An array of numbers, which follows the pickles."""

    key: str
    dtype: str
    size: int


class View(NamedTuple):
    """A tensor: its offset in its storage, its shape, and its strides in numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(content: bytes, source: str) -> dict[str, np.ndarray]:
    """Arrays of the file `content` by name, each C-ordered, without shared memory.

    Raises `UserError`, which names `source`, for a zip (the newer format), a file that is cut off
    or damaged, and a pickle that names anything except tensors.
    """
    if content.startswith(b"PK"):
        raise UserError(
            f"{source} is a zip, as PyTorch writes since version 1.6; only the form before it is "
            "read: torch.save(..., _use_new_zipfile_serialization=False)"
        )
    file = io.BytesIO(content)
    try:
        return _tensors(file)
    except UserError as error:
        raise UserError(f"{source} {error}") from error
    except Exception as error:  # damaged bytes make pickle raise nearly anything
        raise UserError(f"{source} is cut off, or no file of PyTorch tensors: {error}") from error


def _tensors(file: io.BytesIO) -> dict[str, np.ndarray]:
    magic, protocol, system = (_Reader(file).load() for _ in range(3))
    if (magic, protocol, system["little_endian"]) != (MAGIC, PROTOCOL, True):
        raise ValueError(f"magic number {magic}, protocol {protocol}, system {system}")
    views = _Reader(file).load()
    stored = {view.storage.key: view.storage for view in views.values()}
    numbers = {key: _numbers(file, stored[key]) for key in _Reader(file).load()}
    if rest := len(file.read()):
        raise ValueError(f"{rest} bytes follow the last storage")
    return {name: _array(view, numbers[view.storage.key]) for name, view in views.items()}


class _Reader(pickle.Unpickler):
    """Builds numbers, texts, dictionaries, tuples, `Storage` and `View`, and nothing else.

    `find_class` returns a bound method, an immutable class or a text, so a pickle cannot set their
    attributes.
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self.view
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise UserError(f"names {module}.{name}, which is no part of a tensor; nothing was run")

    def persistent_load(self, pid: Any) -> Storage:
        kind, dtype, key, _device, count, _view = pid
        if kind != "storage" or dtype not in DTYPES.values():
            raise ValueError(f"unknown persistent id {pid}")
        return Storage(key, dtype, count)

    def view(self, storage: Storage, offset: int, shape: Any, strides: Any, *_: Any) -> View:
        """`torch._utils._rebuild_tensor_v2` without gradients and hooks."""
        if not isinstance(storage, Storage):
            raise TypeError(f"a tensor of {storage!r}")
        return View(storage, offset, shape, strides)


def _numbers(file: io.BytesIO, storage: Storage) -> np.ndarray:
    """The next storage (count,) of the file: a 64-bit count, then the numbers."""
    count = int.from_bytes(file.read(8), "little")
    if count != storage.size:
        raise ValueError(f"storage {storage.key} has {count} numbers, expected {storage.size}")
    size = count * np.dtype(storage.dtype).itemsize
    content = file.read(size)
    if len(content) != size:
        raise ValueError(f"storage {storage.key} ends after {len(content)} of {size} bytes")
    return np.frombuffer(content, storage.dtype)


def _array(view: View, numbers: np.ndarray) -> np.ndarray:
    """The tensor of `view`. Raises `ValueError` if it exceeds its storage or repeats it."""
    last = view.offset + sum((n - 1) * s for n, s in zip(view.shape, view.strides, strict=True))
    inside = min((view.offset, *view.shape, *view.strides)) >= 0 and last < len(numbers)
    if not inside or math.prod(view.shape) > len(numbers):
        raise ValueError(f"{view} does not lie in its storage of {len(numbers)} numbers")
    strides = [step * numbers.itemsize for step in view.strides]
    begin = numbers[view.offset :]
    return np.lib.stride_tricks.as_strided(begin, view.shape, strides, writeable=False).copy()
