"""Identity and near-duplicates: correct, cached, and constant in memory."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conf.errors import UserError
from datasets.common import digests
from datasets.common.fetching import disk
from datasets.common.images import Picture
from tests.common import ROOT
from tests.datasets.common import picture, save

MAX_PIXELS = 10_000_000


def looks(*images: np.ndarray, folder: Path) -> list[str]:
    paths = [str(folder / f"{k}.png") for k in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    return digests.measure(paths, MAX_PIXELS, folder / "cache")["look"].tolist()


def test_a_recompressed_and_resized_copy_is_a_near_duplicate(tmp_path: Path) -> None:
    original = picture(1, 240, 200)
    Image.fromarray(original).save(tmp_path / "copy.jpg", quality=60)
    copy = np.asarray(Image.open(tmp_path / "copy.jpg").resize((120, 100)))
    brighter = np.clip(original.astype(int) + 12, 0, 255).astype(np.uint8)
    found = looks(original, copy, brighter, picture(2, 240, 200), folder=tmp_path)
    assert digests.clusters(found, [""] * 4, 4).tolist() == [0, 0, 0, 1]


def test_near_is_transitive_and_groups_join() -> None:
    chain = [f"{bits:016x}" for bits in (0, 0b11, 0b1111, 0xFFFF << 40, 0xFF << 8)]
    assert digests.clusters(chain, [""] * 5, 2).tolist() == [0, 0, 0, 1, 2]
    assert digests.clusters(chain, ["", "", "a", "", "a"], 2).tolist() == [0, 0, 0, 1, 0]
    assert digests.clusters(chain, ["b", "", "", "b", ""], 0).tolist() == [0, 1, 2, 0, 3]
    assert digests.clusters(chain, ["b", "", "", "b", ""], 0, ["", "", "c", "c", ""]).tolist() == [
        0, 1, 0, 0, 2,
    ]  # fmt: skip
    assert digests.clusters([], [], 2).tolist() == []


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=40), st.integers(0, 40))
def test_blocks_change_nothing(hashes: list[int], distance: int) -> None:
    hexes = [f"{value:016x}" for value in hashes]
    whole = digests.clusters(hexes, [""] * len(hexes), distance)
    before, digests.PAIRS = digests.PAIRS, 7
    try:
        blocks = digests.clusters(hexes, [""] * len(hexes), distance)
    finally:
        digests.PAIRS = before
    assert whole.tolist() == blocks.tolist()
    for i, a in enumerate(hashes):
        for j, b in enumerate(hashes):
            assert (a ^ b).bit_count() > distance or whole[i] == whole[j]


def test_answers_are_cached_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(save(tmp_path / f"{k}.png", k)) for k in range(3)] + [str(tmp_path / "none.png")]
    (tmp_path / "2.png").write_bytes(b"no image")
    read: list[str] = []
    real = digests.measure_one

    def counted(path: Path, **settings: Any) -> list[digests.Measured]:
        read.append(path.name)
        return real(path, **settings)

    monkeypatch.setattr(digests, "measure_one", counted)
    first = digests.measure(paths, MAX_PIXELS, tmp_path / "cache")
    assert sorted(read) == ["0.png", "1.png", "2.png", "none.png"]
    assert first["reason"].astype(bool).tolist() == [False, False, True, True]
    read.clear()
    save(tmp_path / "1.png", 50)
    os.utime(tmp_path / "1.png", ns=(1, 1))
    second = digests.measure(paths, MAX_PIXELS, tmp_path / "cache")
    assert sorted(read) == ["1.png", "none.png"]
    assert (second["sha256"] == first["sha256"]).tolist() == [True, False, True, True]


def test_answers_of_another_reader_are_not_reused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(save(tmp_path / "0.png", 0))
    before = digests.measure([path], MAX_PIXELS, tmp_path / "cache")
    monkeypatch.setattr(digests, "READER", digests.READER + 1)
    monkeypatch.setattr(digests, "read", lambda *_: [Picture(picture(1), 8, 8)])
    after = digests.measure([path], MAX_PIXELS, tmp_path / "cache")
    assert before["look"].iat[0] != after["look"].iat[0]


def test_a_torn_or_foreign_cache_counts_as_absent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [str(save(tmp_path / f"{k}.png", k)) for k in range(3)]
    cache = tmp_path / "cache"
    first = digests.measure(paths, MAX_PIXELS, cache)
    database = cache / "digests" / digests.CACHE
    content = database.read_bytes()
    lengths = {0, 1, 50, 100, 1000, len(content) // 2, len(content) - 1}
    kinds = [content[:length] for length in sorted(lengths)]
    for torn in [*kinds, b"no database " * 500, b"\0" * len(content)]:
        database.write_bytes(torn)
        (database.parent / f"{database.name}-journal").write_bytes(b"left by a kill")
        assert digests.measure(paths, MAX_PIXELS, cache).equals(first), len(torn)
    assert "it counts as absent" in caplog.text


MEMORY = """
import sys
import tracemalloc
from pathlib import Path
from datasets.common import digests
paths = sorted(str(p) for p in Path(sys.argv[1]).iterdir())[: int(sys.argv[2])]
digests.measure(paths[:8], 10**7, Path(sys.argv[3]))  # what is allocated once and for all
tracemalloc.start()
digests.measure(paths, 10**7, Path(sys.argv[3]))
print(tracemalloc.get_traced_memory()[1])
"""


def test_memory_is_flat_in_the_number_of_images(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    first = save(folder / "0000.png", 1)
    pixels = picture(1, 200, 160)
    Image.fromarray(pixels).save(first)
    for k in range(1, 1200):
        (folder / f"{k:04d}.png").write_bytes(first.read_bytes())
    peaks = []
    for count in (300, 1200):
        command = [
            sys.executable,
            "-c",
            MEMORY,
            str(folder),
            str(count),
            str(tmp_path / f"{count}"),
        ]
        result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
        peaks.append(int(result.stdout.split()[-1]))
    # 900 more decoded images are 86 MB; what stays of each is a row of a table.
    assert peaks[1] - peaks[0] < 0.05 * 900 * pixels.nbytes, peaks


def test_a_full_disk_becomes_a_message_that_names_the_folder(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    message = f"{tmp_path}.*the disk is full.*env.cache"
    with pytest.raises(UserError, match=message), disk.writing(tmp_path):
        full.write_bytes(b"x")
    with pytest.raises(UserError, match="are needed and"):
        disk.need(tmp_path / "new" / "folder", 10**18)
    with pytest.raises(FileNotFoundError), disk.writing(tmp_path):
        (tmp_path / "none").read_bytes()
