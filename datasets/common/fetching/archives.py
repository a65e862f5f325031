"""Zip archives from untrusted sources, unpacked safely.

The listing is checked before a byte is written, and the real sizes while writing. The folder gets
its final name only when it is complete:

```mermaid
flowchart LR
    A[archive.zip] --> B{names, kinds, sizes}
    B -- hostile --> E[UserError, nothing written]
    B --> C[hidden folder beside the destination]
    C -- bad bytes, full disk, Ctrl-C --> F[folder removed]
    C --> D[destination, by one rename]
```

Two processes that want the same folder unpack it once: the second waits.
"""

import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from rich.progress import track

from conf.errors import UserError
from datasets.common.fetching import disk
from datasets.common.fetching.locks import Lock

CHUNK = 1 << 20
ENCRYPTED = 0x1 | 0x40 | 0x2000
"""Bits of a member's flags: encrypted, strongly encrypted, listing masked (APPNOTE 4.4.4)."""


@dataclass(frozen=True)
class Limits:
    """Limits of what is unpacked. Images hardly compress: a regular set stays far below them."""

    members: int = 500_000
    total: int = 100_000_000_000
    """Bytes of all members together."""
    ratio: int = 200
    """Unpacked bytes for each packed byte, for a member over `ratio_from` bytes."""
    ratio_from: int = 1_000_000


class _RefusalError(Exception):
    """Why an archive is not unpacked."""


def extract(archive: Path, destination: Path, limits: Limits | None = None) -> Path:
    """Unpack the zip `archive` into the new folder `destination`, whole or not at all.

    A `destination` that exists already is returned as it is: only a complete folder has that name.

    Raises `UserError` for a file that is no zip archive or is damaged, names that leave the folder,
    links and other special files, encrypted members, repeated names, more members or bytes than
    `limits` allow, and a full disk.
    """
    if destination.exists():
        return destination
    lock = destination.with_name(f".{destination.name}.lock")
    with disk.writing(destination), Lock(lock, f"the unpacking of {archive}", wait=True):
        if not destination.exists():
            disk.remove_drafts(destination)
            _unpack(archive, destination, limits or Limits())
    return destination


def _unpack(archive: Path, destination: Path, limits: Limits) -> None:
    try:
        with (
            disk.writing(destination),
            zipfile.ZipFile(archive) as packed,
            disk.atomic_folder(destination) as folder,
        ):
            members = _checked(packed.infolist(), limits)
            disk.need(destination, sum(member.file_size for member in members))
            for member in track(members, f"unpacking {archive.name}", disable=not members):
                _write(packed, member, folder)
    except UserError:
        raise
    except _RefusalError as error:
        raise UserError(
            f"{archive} is refused: {error}; if you trust it, unpack it yourself and use "
            "dataset.source=directory dataset.path=..."
        ) from None
    except Exception as error:  # damaged archives raise from zipfile, zlib, lzma, struct and codecs
        raise UserError(
            f"{archive} cannot be unpacked: {error or type(error).__name__}; check that it is a "
            "whole zip archive, or fetch it again"
        ) from error


def _checked(members: list[zipfile.ZipInfo], limits: Limits) -> list[zipfile.ZipInfo]:
    """The files among `members`, each of them safe to write."""
    if len(members) > limits.members:
        raise _RefusalError(f"it has {len(members)} members, more than {limits.members}")
    total = sum(member.file_size for member in members)
    if total > limits.total:
        raise _RefusalError(f"it unpacks to {total} bytes, more than {limits.total}")
    seen: set[str] = set()
    files = []
    for member in members:
        name = member.filename
        if problem := _problem(member, limits):
            raise _RefusalError(f"member {name[:120]!r} {problem}")
        if member.is_dir():
            continue
        # Two names that differ by case are one file on some disks.
        if (key := str(_relative(name)).casefold()) in seen:
            raise _RefusalError(f"member {name[:120]!r} occurs twice")
        seen.add(key)
        files.append(member)
    return files


def _problem(member: zipfile.ZipInfo, limits: Limits) -> str:
    name, kind = member.orig_filename, stat.S_IFMT(member.external_attr >> 16)
    parts = name.replace("\\", "/").split("/")
    if not name.strip("/. ") or "\0" in name or any(ord(c) < 32 for c in name):
        return "has no usable name"
    if name.startswith(("/", "\\")) or PureWindowsPath(name).drive or ".." in parts:
        return "leaves the folder it is unpacked into"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or another special file"
    if member.flag_bits & ENCRYPTED:
        return "is encrypted"
    packed = max(1, member.compress_size)
    if member.file_size > limits.ratio_from and member.file_size > limits.ratio * packed:
        return f"unpacks to {member.file_size // packed} times its size, more than {limits.ratio}"
    return ""


def _relative(name: str) -> PurePosixPath:
    """Where a checked name lies below the destination."""
    return PurePosixPath(name.replace("\\", "/"))


def _write(packed: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    target = folder / _relative(member.filename)
    if not target.resolve().is_relative_to(folder.resolve()):
        raise _RefusalError(
            f"member {member.filename[:120]!r} leaves the folder it is unpacked into"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    left = member.file_size
    with packed.open(member) as source, target.open("xb") as file:
        while block := source.read(CHUNK):
            left -= len(block)
            if left < 0:  # the listing lied: a bomb
                raise _RefusalError(f"member {member.filename[:120]!r} is larger than it says")
            file.write(block)
