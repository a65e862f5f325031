"""Sha256 of the files of a model: a file that was changed is refused by its name."""

from collections.abc import Mapping
from hashlib import file_digest
from pathlib import Path


class FileChangedError(ValueError):
    """A file of a model that is missing, or is not the one that was recorded."""


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of each file below `folder`, by its path there."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _digest(path) for path in found}


def check_files(folder: Path, recorded: Mapping[str, str], whose: str) -> None:
    """Raise `FileChangedError` for the first file that is not as `recorded`.

    Other files may be there. `whose` names the model in the message.
    """
    for name, sha256 in recorded.items():
        path = folder / name
        if not path.is_file():
            raise FileChangedError(f"{name} of {whose} is missing")
        if (found := _digest(path)) != sha256:
            raise FileChangedError(
                f"{name} of {whose} was changed: its sha256 is {found}, recorded is {sha256}"
            )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
