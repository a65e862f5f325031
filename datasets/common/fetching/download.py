"""Downloads: a file is complete and has the expected sha256, or it is not kept.

An interrupted transfer leaves `<name>.part`, and the next call resumes it. Only a file with the
expected sha256 gets its final name. If two processes want the same file, it is fetched once: the
second waits. Every function raises `conf.errors.UserError`.
"""

import hashlib
import logging
import os
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from conf.errors import UserError
from conf.redaction import redact
from datasets.common.fetching import disk
from datasets.common.fetching.locks import Lock

log = logging.getLogger(__name__)

CHUNK = 1 << 16
"""Bytes read at a time: an interruption loses at most so many."""
LARGEST = 100_000_000_000
"""Bytes of a file. A server that names more, or that never ends, is refused."""
ATTEMPTS = 5
TIMEOUT = (10, 60)
"""Seconds to connect, and between two bytes: a dead server must not hang a run."""
DRIVE = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com")


def fetch(uri: str, sha256: str | None, folder: Path) -> Path:
    """The file behind `uri`: a local path, an http(s) URL, or a Google Drive link.

    A local file stays where it is; a download is kept in `folder` and not repeated. `sha256`
    (hex) may be left out for a local file only.
    """
    url = urlsplit(uri)
    if url.scheme in ("", "file") or len(url.scheme) == 1:  # one letter: a Windows drive
        path = Path(unquote(url.path) if url.scheme == "file" else uri).expanduser()
        if not path.is_file():
            raise UserError(
                f"{redact(uri)!r} is no file; give a path, an http(s) URL or a Drive link"
            )
        if sha256:
            _verify(path, sha256, uri)
        return path
    if url.scheme not in ("http", "https"):
        raise UserError(f"{redact(uri)}: {url.scheme}:// is not supported; use http(s) or a path")
    if not sha256:
        raise UserError(
            f"{redact(uri)} has no sha256, so a wrong file could not be detected; "
            "set dataset.archives.<split>.sha256 (sha256sum <file> prints it)"
        )
    name = Path(unquote(url.path)).name or "download"
    target = folder / f"{sha256[:12].lower()}-{name}"
    if _fetched(target, sha256):
        return target
    lock = target.with_name(f".{target.name}.lock")
    with disk.writing(folder), Lock(lock, f"the download of {target}", wait=True):
        if not _fetched(target, sha256):
            partial = target.with_name(target.name + ".part")
            if url.hostname in DRIVE:
                _from_drive(uri, partial)
            else:
                _from_http(uri, partial)
            try:
                _verify(partial, sha256, uri)
            except UserError:
                partial.unlink()  # resuming from wrong bytes would fail every time
                raise
            disk.settle(partial, target)
    return target


def _fetched(target: Path, sha256: str) -> bool:
    return target.is_file() and file_sha256(target) == sha256.lower()


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verify(path: Path, sha256: str, uri: str) -> None:
    if (found := file_sha256(path)) != sha256.lower():
        raise UserError(
            f"{redact(uri)} has sha256 {found}, expected {sha256.lower()}: it is "
            "another file, or the sha256 in the configuration is wrong"
        )


def _from_http(uri: str, partial: Path) -> None:
    """Fetch the rest of `uri` into `partial`, with several attempts if the network fails."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _transfer(uri, partial)
        except requests.RequestException as error:
            response = error.response
            if attempt == ATTEMPTS or (response is not None and response.status_code < 500):
                status = "" if response is None else f" ({response.status_code} {response.reason})"
                raise UserError(
                    f"{redact(uri)} cannot be fetched: {type(error).__name__}{status}; the same "
                    "command goes on where this one stopped, or fetch the file by hand and set "
                    "dataset.archives.<split>.uri to its path"
                ) from error
            log.warning("%s: %s, attempt %d", redact(uri), type(error).__name__, attempt)
            time.sleep(0.2 * 2**attempt)


def _transfer(uri: str, partial: Path) -> None:
    done = partial.stat().st_size if partial.exists() else 0
    # With compression in transit, a byte range would count compressed bytes.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with requests.get(uri, headers=headers, stream=True, timeout=TIMEOUT) as response:
        total = response.headers.get("Content-Range", "").rpartition("/")[2]
        if response.status_code == 416 and total == str(done):
            return  # all of it was there
        if response.status_code == 416:
            partial.unlink()
            return _transfer(uri, partial)
        response.raise_for_status()
        resumed = response.status_code == 206
        start = response.headers.get("Content-Range", f"bytes {done}-")
        if resumed and not start.startswith(f"bytes {done}-"):
            partial.unlink()
            raise requests.ConnectionError("the server sent another range than the one asked for")
        size = int(response.headers.get("Content-Length", 0)) + (done if resumed else 0)
        if size > LARGEST:
            raise _too_large(uri)
        disk.need(partial, size - (done if resumed else 0))
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        with (
            Progress(*columns, TransferSpeedColumn()) as progress,
            partial.open("ab" if resumed else "wb") as file,
        ):
            task = progress.add_task(partial.stem, total=size or None, completed=file.tell())
            for block in response.iter_content(CHUNK):
                if file.tell() + len(block) > LARGEST:
                    partial.unlink()
                    raise _too_large(uri)
                file.write(block)
                progress.advance(task, len(block))


def _too_large(uri: str) -> UserError:
    return UserError(
        f"{redact(uri)} sends more than {LARGEST} bytes: fetch the file by hand, and set "
        "dataset.archives.<split>.uri to its path"
    )


def _from_drive(uri: str, partial: Path) -> None:
    import gdown

    try:
        gdown.download(
            uri, str(partial), quiet=True, use_cookies=False, resume=True, timeout=60, retries=3
        )
    except (requests.RequestException, gdown.exceptions.DownloadError, ValueError) as error:
        raise UserError(
            f"{redact(uri)} cannot be fetched from Google Drive: {_first_line(error)}; check that "
            "the link is shared with everyone, or fetch the file by hand in a browser and set "
            "dataset.archives.<split>.uri to its path"
        ) from error


def kaggle(handle: str, folder: Path) -> Path:
    """The folder of the Kaggle dataset `<owner>/<dataset>`, kept below `folder`.

    Once the folder is complete, it is used without asking Kaggle again: the data of a project does
    not change unnoticed.
    """
    done = folder / f"kaggle-{handle.replace('/', '-')}.txt"
    if kept := _kept(done):
        return kept
    lock = done.with_suffix(".lock")
    with disk.writing(folder), Lock(lock, f"the download of {handle} to {folder}", wait=True):
        return _kept(done) or _from_kaggle(handle, folder, done)


def _kept(done: Path) -> Path | None:
    """The complete folder that the file `done` names; None where there is none yet."""
    try:
        name = done.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        disk.absent(done, error)
        return None
    # A truncated name could be that of a parent folder.
    if not name.endswith("\n") or "\0" in name or not (kept := done.parent / name.strip()).is_dir():
        disk.absent(done, f"it names no folder: {name[:80]!r}")
        return None
    return kept


def _from_kaggle(handle: str, folder: Path, done: Path) -> Path:
    before = os.environ.get("KAGGLEHUB_CACHE")
    try:
        os.environ["KAGGLEHUB_CACHE"] = str(folder.resolve())
        import kagglehub

        found = Path(kagglehub.dataset_download(handle)).resolve()
        with disk.writing(folder), disk.atomic_write(done) as draft:
            draft.write_text(f"{found.relative_to(folder.resolve())}\n", encoding="utf-8")
    except UserError:
        raise
    except Exception as error:  # kagglehub documents no exceptions: its parts raise many
        raise UserError(
            f"dataset.kaggle={handle!r} cannot be fetched: {_first_line(error)}; check the network "
            "and the handle, sign in (https://www.kaggle.com/docs/api), or download it by hand and "
            "use dataset.source=directory dataset.path=..."
        ) from error
    finally:
        if before is None:
            os.environ.pop("KAGGLEHUB_CACHE", None)
        else:
            os.environ["KAGGLEHUB_CACHE"] = before
    return found


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return (text.splitlines()[0] if text else type(error).__name__)[:200]
