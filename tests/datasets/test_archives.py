"""No archive writes outside its folder or leaves a part of itself behind."""

import io
import random
import stat
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conf.errors import UserError
from datasets.common.fetching.archives import Limits, extract
from tests.common import ROOT
from tests.datasets.common import on_a_tiny_disk

PLAIN = 0
LINK = (stat.S_IFLNK | 0o777) << 16
PIPE = (stat.S_IFIFO | 0o666) << 16

part = st.sampled_from(["..", ".", "", "a", "b", "A", "/", "\\", "C:", "x.jpg", "~", "é", "\x01"])
names = st.lists(part, min_size=1, max_size=5).map("/".join) | st.text(min_size=1, max_size=12)
members = st.lists(
    st.tuples(names, st.binary(max_size=40), st.sampled_from([PLAIN, PLAIN, PLAIN, LINK, PIPE])),
    max_size=5,
)


def zipped(entries: list[tuple[str, bytes, int]]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data, mode in entries:
            member = zipfile.ZipInfo("placeholder")
            member.filename = name  # the constructor would clean it
            member.external_attr = mode
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, data)
    return stream.getvalue()


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def try_to_extract(folder: Path, data: bytes) -> bool:
    """Extract into `folder`/in/out and check that nothing else changed; whether it worked."""
    home = folder / "in"
    home.mkdir(exist_ok=True)
    archive = folder / "given.zip"
    archive.write_bytes(data)
    try:
        extract(archive, home / "out")
        worked = True
    except UserError as error:
        assert str(archive) in str(error)
        worked = False
    assert everything(home) - {"out"} == {f"out/{n}" for n in everything(home / "out")}
    assert {path.name for path in folder.iterdir()} == {"in", "given.zip"}
    assert (home / "out").exists() == worked
    assert not any(path.is_symlink() for path in home.rglob("*"))
    return worked


@pytest.fixture(scope="module")
def quiet_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archives")


counter = iter(range(10**9))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@given(members)
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150)
def test_nothing_is_written_outside(
    quiet_folder: Path, entries: list[tuple[str, bytes, int]]
) -> None:
    try:
        data = zipped(entries)
    except (UnicodeEncodeError, ValueError):
        return  # zipfile itself cannot write such a name
    folder = quiet_folder / str(next(counter))
    folder.mkdir()
    if try_to_extract(folder, data):
        found = {p.read_bytes() for p in (folder / "in" / "out").rglob("*") if p.is_file()}
        assert found <= {data for _, data, _ in entries}
        assert not any(mode for _, _, mode in entries)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8))
@settings(max_examples=120)
def test_a_damaged_archive_is_whole_or_absent(
    quiet_folder: Path, changes: list[tuple[float, int]]
) -> None:
    data = bytearray(zipped([("a/x.jpg", b"first" * 50, PLAIN), ("b/y.jpg", b"second", PLAIN)]))
    for where, value in changes:
        data[int(where * (len(data) - 1))] = value
    folder = quiet_folder / str(next(counter))
    folder.mkdir()
    try_to_extract(folder, bytes(data))


def test_an_honest_archive_is_unpacked_once(tmp_path: Path) -> None:
    data = zipped([("train/", b"", PLAIN), ("train/a/x.jpg", b"x", PLAIN), ("b.txt", b"", PLAIN)])
    assert try_to_extract(tmp_path, data)
    out = tmp_path / "in" / "out"
    assert (out / "train/a/x.jpg").read_bytes() == b"x" and (out / "b.txt").read_bytes() == b""
    (out / "train/a/x.jpg").write_bytes(b"kept")
    assert extract(tmp_path / "given.zip", out) == out
    assert (out / "train/a/x.jpg").read_bytes() == b"kept"


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([("../../evil.jpg", b"x", PLAIN)], "leaves the folder"),
        ([("a/..\\..\\evil.jpg", b"x", PLAIN)], "leaves the folder"),
        ([("/etc/evil", b"x", PLAIN)], "leaves the folder"),
        ([("C:\\evil", b"x", PLAIN)], "leaves the folder"),
        ([("link", b"/etc/passwd", LINK)], "is a link"),
        ([("pipe", b"", PIPE)], "special file"),
        ([("a.jpg", b"1", PLAIN), ("A.jpg", b"2", PLAIN)], "occurs twice"),
        ([("zeros", bytes(5_000_000), PLAIN)], "times its size"),
    ],
)
def test_a_hostile_archive_is_refused(
    tmp_path: Path, entries: list[tuple[str, bytes, int]], reason: str
) -> None:
    archive = tmp_path / "given.zip"
    archive.write_bytes(zipped([("good.jpg", b"ok", PLAIN), *entries]))
    with pytest.raises(UserError, match=reason):
        extract(archive, tmp_path / "out")
    assert everything(tmp_path) == {"given.zip"}


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped([("a.jpg", b"secret", PLAIN)]))
    listing = data.index(b"PK\x01\x02")
    for offset in (6, listing + 8):  # the flags, in the member's header and in the listing
        data[offset : offset + 2] = struct.pack("<H", 1)
    (tmp_path / "given.zip").write_bytes(data)
    with pytest.raises(UserError, match="is encrypted"):
        extract(tmp_path / "given.zip", tmp_path / "out")


@pytest.mark.parametrize(
    ("limits", "reason"), [(Limits(members=2), "3 members"), (Limits(total=29), "30 bytes")]
)
def test_more_than_the_limits_is_refused(tmp_path: Path, limits: Limits, reason: str) -> None:
    archive = tmp_path / "given.zip"
    archive.write_bytes(zipped([(name, b"0123456789", PLAIN) for name in "abc"]))
    with pytest.raises(UserError, match=reason):
        extract(archive, tmp_path / "out", limits)


def test_something_else_than_a_zip_says_so(tmp_path: Path) -> None:
    archive = tmp_path / "given.zip"
    archive.write_bytes(b"<html>Sign in to download</html>")
    with pytest.raises(UserError, match="whole zip archive, or fetch it again"):
        extract(archive, tmp_path / "out")


FULL_DISK = """
import sys
from pathlib import Path
from conf.errors import UserError
from datasets.common.fetching import disk
from datasets.common.fetching.archives import extract
disk.need = lambda *_: None  # the listing's sizes would give it away before the disk does
folder = Path(sys.argv[1])
try:
    extract(Path(sys.argv[2]), folder / "out")
except UserError as error:
    assert "the disk is full" in str(error) and str(folder) in str(error), error
    assert not list(folder.iterdir()), "half a set was left behind"
    print("told")
"""


def test_a_full_disk_is_named_and_left_clean(tmp_path: Path) -> None:
    archive = tmp_path / "given.zip"
    noise = random.Random(0).randbytes(1_000_000)
    archive.write_bytes(zipped([("a.jpg", noise, PLAIN)]))
    assert "told" in on_a_tiny_disk(tmp_path / "disk", FULL_DISK, str(archive))


EXTRACT = """
import sys
from pathlib import Path
from datasets.common.fetching.archives import extract
sys.stdin.readline()
print(extract(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def test_processes_that_want_one_folder_at_once_all_get_it_whole(tmp_path: Path) -> None:
    archive, folder = tmp_path / "given.zip", tmp_path / "set"
    archive.write_bytes(zipped([(f"{number}.txt", b"x" * 1000, PLAIN) for number in range(2000)]))
    command = [sys.executable, "-c", EXTRACT, str(archive), str(folder)]
    processes = [
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [output.splitlines()[-1:] for output in outputs] == [[str(folder)]] * 3, outputs
    assert len(everything(folder)) == 2000
    assert {path.name for path in tmp_path.iterdir()} == {"given.zip", "set"}
