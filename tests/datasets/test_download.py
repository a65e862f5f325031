"""Downloads from a real server: resumed, verified, or refused with the way out."""

import contextlib
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conf.errors import UserError
from datasets.common.fetching import download
from datasets.common.fetching.download import fetch, kaggle
from tests.common import ROOT
from tests.datasets.common import UNREACHABLE

CONTENT = random.Random(1).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATIENCE_SECONDS = 40


class Server(ThreadingHTTPServer):
    """Serves CONTENT at any path, remembers what was asked, and misbehaves on request."""

    daemon_threads = True

    def __init__(self, cuts: list[int], ranges: bool = True) -> None:
        self.cuts, self.ranges = cuts, ranges
        self.asked_once, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), partial(Handler))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/set.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.server.asked.append(wanted)
        self.server.asked_once.set()
        self.server.go_on.wait(PATIENCE_SECONDS)
        if self.path.startswith("/missing"):
            return self.send_error(404)
        start = int(re.findall(r"\d+", wanted)[0]) if wanted and self.server.ranges else 0
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts else len(CONTENT)
        self.wfile.write(CONTENT[start : start + cut])  # then the connection is closed

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[type[Server]]:
    running: list[Server] = []

    def start(cuts: list[int] | None = None, ranges: bool = True) -> Server:
        server = Server(cuts or [], ranges)
        running.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    yield start  # type: ignore[misc]
    for server in running:
        server.shutdown()
        server.server_close()


def test_a_file_is_fetched_once(serve, tmp_path: Path) -> None:
    server = serve()
    path = fetch(server.url, SHA256, tmp_path / "kept")
    assert path.read_bytes() == CONTENT and path.name.endswith("set.zip")
    assert fetch(server.url, SHA256.upper(), tmp_path / "kept") == path
    assert server.asked == [""]


def test_an_interrupted_transfer_goes_on_where_it_stopped(serve, tmp_path: Path) -> None:
    server = serve(cuts=[100_000, 80_000])
    path = fetch(server.url, SHA256, tmp_path)
    assert path.read_bytes() == CONTENT
    starts = [int(asked.removeprefix("bytes=").rstrip("-") or 0) for asked in server.asked]
    assert starts == sorted(set(starts)) and len(starts) == 3
    assert starts[1] > 100_000 - download.CHUNK


def test_a_killed_run_leaves_a_part_that_the_next_goes_on_from(
    serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    server = serve(cuts=[120_000])
    with pytest.raises(UserError, match="goes on where this one stopped"):
        fetch(server.url, SHA256, tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    assert fetch(server.url, SHA256, tmp_path).read_bytes() == CONTENT
    assert server.asked[0] == "" and server.asked[-1].startswith("bytes=")


FETCH = """
import logging, sys
from pathlib import Path
from datasets.common.fetching.download import fetch
logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stdout)
print(fetch(sys.argv[1], sys.argv[2], Path(sys.argv[3])), flush=True)
"""


def test_two_processes_that_want_one_file_at_once_fetch_it_once(serve, tmp_path: Path) -> None:
    server = serve()
    server.go_on.clear()
    command = [sys.executable, "-c", FETCH, server.url, SHA256, str(tmp_path)]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert server.asked_once.wait(PATIENCE_SECONDS)
    second = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert second.stdout is not None
    line = second.stdout.readline()
    server.go_on.set()
    outputs = [process.communicate(timeout=PATIENCE_SECONDS)[0] for process in (first, second)]
    assert line.startswith("waiting for the download of") and f"process {first.pid} on" in line
    target = tmp_path / f"{SHA256[:12]}-set.zip"
    assert [output.splitlines()[-1] for output in outputs] == [str(target)] * 2
    assert target.read_bytes() == CONTENT
    assert server.asked == [""]


def test_a_server_without_ranges_starts_again(serve, tmp_path: Path) -> None:
    server = serve(cuts=[100_000], ranges=False)
    assert fetch(server.url, SHA256, tmp_path).read_bytes() == CONTENT


def test_a_whole_part_is_not_fetched_again(serve, tmp_path: Path) -> None:
    (tmp_path / f"{SHA256[:12]}-set.zip.part").write_bytes(CONTENT)
    server = serve()
    assert fetch(server.url, SHA256, tmp_path).read_bytes() == CONTENT
    assert server.asked == [f"bytes={len(CONTENT)}-"]


def test_a_part_that_is_too_long_is_thrown_away(serve, tmp_path: Path) -> None:
    (tmp_path / f"{SHA256[:12]}-set.zip.part").write_bytes(CONTENT + b"more")
    assert fetch(serve().url, SHA256, tmp_path).read_bytes() == CONTENT


def test_a_wrong_checksum_is_refused_and_nothing_is_kept(serve, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"has sha256 {SHA256}, expected {'0' * 64}"):
        fetch(serve().url, "0" * 64, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_server_that_never_ends_is_refused_and_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = 0

    class Endless(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal sent
            self.send_response(200)
            self.end_headers()  # without a length
            with contextlib.suppress(ConnectionError):
                while True:
                    sent += self.wfile.write(bytes(1 << 20))

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setattr(download, "LARGEST", 5 << 20)
    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_address[1]}/set.zip"
        with pytest.raises(UserError, match=r"sends more than 5242880 bytes: fetch the file by"):
            fetch(uri, SHA256, tmp_path)
        server.shutdown()
    assert sent < 100 << 20
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]


def test_a_file_that_the_disk_has_no_room_for_is_refused_before_a_byte(
    serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    nearly = shutil.disk_usage(tmp_path)._replace(free=len(CONTENT) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: nearly)
    with pytest.raises(UserError, match=r"are needed and .* are free; free some space"):
        fetch(server.url, SHA256, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]


def test_a_missing_file_is_said_at_once_and_secrets_are_not(serve, tmp_path: Path) -> None:
    server = serve()
    url = server.url.replace("/set", "/missing").replace("http://", "http://me:pass@")
    with pytest.raises(UserError, match="404") as error:
        fetch(url + "?signature=hidden", SHA256, tmp_path)
    assert len(server.asked) == 1
    assert "hidden" not in str(error.value) and "pass" not in str(error.value)


def test_an_unreachable_server_names_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    with pytest.raises(UserError, match="fetch the file by hand"):
        fetch(f"{UNREACHABLE}/set.zip", SHA256, tmp_path)


@pytest.mark.parametrize(
    "uri", ["https://example.org/set.zip", "https://drive.google.com/file/d/abc/view"]
)
def test_a_download_without_a_checksum_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(UserError, match="has no sha256"):
        fetch(uri, None, tmp_path)


def test_a_local_file_stays_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "my set.zip"
    path.write_bytes(CONTENT)
    assert fetch(str(path), None, tmp_path / "kept") == path
    assert fetch(path.as_uri(), SHA256, tmp_path / "kept") == path
    assert not (tmp_path / "kept").exists()
    with pytest.raises(UserError, match="expected 000"):
        fetch(str(path), "0" * 64, tmp_path)


@pytest.mark.parametrize(
    ("uri", "reason"), [("/no/such/set.zip", "is no file"), ("ftp://host/x.zip", "not supported")]
)
def test_what_cannot_be_fetched_says_what_can(tmp_path: Path, uri: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        fetch(uri, SHA256, tmp_path)


def test_google_drive_without_network_names_the_way_out(no_network, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"(?s)Google Drive.*by hand in a browser"):
        fetch("https://drive.google.com/file/d/0B_none/view", SHA256, tmp_path)


def test_kaggle_without_network_names_the_way_out(no_network, tmp_path: Path) -> None:
    before = os.environ.get("KAGGLEHUB_CACHE")
    with pytest.raises(UserError, match=r"(?s)owner/set.*sign in.*dataset.source=directory"):
        kaggle("owner/set", tmp_path)
    assert os.environ.get("KAGGLEHUB_CACHE") == before


def test_a_kaggle_set_that_is_there_needs_no_network(no_network, tmp_path: Path) -> None:
    kept = tmp_path / "datasets" / "owner" / "set" / "versions" / "1"
    kept.mkdir(parents=True)
    (tmp_path / "kaggle-owner-set.txt").write_text("datasets/owner/set/versions/1\n")
    assert kaggle("owner/set", tmp_path) == kept


def test_a_torn_note_of_a_kaggle_set_counts_as_absent(
    no_network, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = b"datasets/owner/set/versions/1\n"
    (tmp_path / name.decode().strip()).mkdir(parents=True)
    note = tmp_path / "kaggle-owner-set.txt"
    for torn in (b"", name[:1], b"datasets/owner", name[:-1], b"\0" * 30, b"\xff\n", b".\0\n"):
        note.write_bytes(torn)
        caplog.clear()
        with pytest.raises(UserError, match="cannot be fetched"):  # it asks Kaggle again
            kaggle("owner/set", tmp_path)
        assert "it counts as absent" in caplog.text, torn
