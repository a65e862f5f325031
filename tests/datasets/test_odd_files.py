"""Odd entries among images neither block nor stop a run, which lists what it left out."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from conf.errors import UserError
from datasets.common.contract import Images
from datasets.common.images import BadImage, Kind, files, opened, read_image, shown
from datasets.common.manifest import MANIFEST
from datasets.common.sources import load
from tests.common import ROOT, open_to_all
from tests.datasets.common import CLASSES, config, image_set, picture, save
from tests.datasets.odd_files import LATIN, REASONS, lay

pytestmark = pytest.mark.timeout(60)  # a pipe that is opened would wait for ever
NOBODY = 65534


def build(root: Path, **values: Any) -> Images:
    settings = config(path=str(root), max_bad_share=0.9, **values)
    return load(settings, root.parent / "cache", lambda *_: picture(0))


def test_odd_files_in_a_class_are_quarantined_with_their_reasons(tmp_path: Path) -> None:
    root = image_set(tmp_path / "set")
    names = {f"{CLASSES[0]}/{name}" for name in lay(root / CLASSES[0])}
    images = build(root)
    assert len(images.frame) == 8
    found = images.quarantined.set_index("file")["reason"]
    assert set(found.index) == names
    for name, reason in REASONS.items():
        assert reason in found[f"{CLASSES[0]}/{name}"]
    text = images.quarantined.to_csv(index=False).encode("utf-8")
    assert set(pd.read_csv(io.BytesIO(text))["file"]) == names


def test_odd_files_of_a_manifest_are_quarantined_with_their_reasons(tmp_path: Path) -> None:
    root = image_set(tmp_path / "set")
    lay(root / CLASSES[0])
    good = [path.relative_to(root).as_posix() for path in sorted(root.rglob("[0-9].png"))]
    listed = [f"{CLASSES[0]}/{name}" for name in REASONS if "\\" not in name]
    missing = f"{CLASSES[0]}/pólipo.png"  # as the manifest spells what is there in Latin-1
    pd.DataFrame({"file": [*good, *listed, missing]}).to_csv(root / MANIFEST, index=False)
    images = build(root)
    assert images.frame["file"].tolist() == good
    found = images.quarantined.set_index("file")["reason"]
    for name in listed:
        assert REASONS[name.split("/")[1]] in found[name]
    assert "there is no such file" in found[missing]
    assert found[rf"{CLASSES[0]}/p\xf3lipo.png"] == f"not listed in {MANIFEST}"


def test_a_class_or_a_set_of_a_name_that_is_not_utf8_is_named_escaped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = image_set(tmp_path / "set")
    (root / os.fsdecode(b"2_p\xf3lipos")).mkdir()
    build(root)
    assert r"does not name them: 2_p\xf3lipos" in caplog.text
    with pytest.raises(UserError, match=r"choices: .*2_p\\xf3lipos"):
        build(root, classes=[*CLASSES, "3_absent"])
    other = image_set(tmp_path / os.fsdecode(b"im\xe1genes"))
    with pytest.raises(UserError, match=r"im\\xe1genes': the name of the folder is not UTF-8"):
        build(other)


@pytest.mark.parametrize("name", [name for name in REASONS if "/" not in name])
def test_nothing_odd_is_ever_opened(name: str, tmp_path: Path) -> None:
    lay(tmp_path)
    [path] = [path for path in files(tmp_path) if shown(path.relative_to(tmp_path)) == name]
    with pytest.raises(BadImage, match=REASONS[name]) as raised, opened(path):
        pass
    assert raised.value.kind == Kind.UNREADABLE
    with pytest.raises(BadImage, match=REASONS[name]):
        read_image(path, 10**6)


def test_a_good_name_stays_as_it_is() -> None:
    assert shown(Path("a/pólipo ☃.png")) == "a/pólipo ☃.png"
    assert shown(Path("a") / LATIN) == r"a/p\xf3lipo.png"


AS_NOBODY = """
import os, sys
from pathlib import Path
from datasets.common.digests import measure_one
from datasets.common.folders import scan
os.setgroups([]); os.setgid({nobody}); os.setuid({nobody})
table, rejected = scan(Path(sys.argv[1]), {classes})
for path in table["path"]:
    if reason := measure_one(Path(path), 10**6)[0].reason:
        print(path.rpartition("/")[2], reason)
for row in rejected.itertuples():
    print(row.file, row.reason)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_file_and_a_folder_of_somebody_else_say_that_they_cannot_be_read(tmp_path: Path) -> None:
    open_to_all(tmp_path)
    root = image_set(tmp_path / "set")
    (root / CLASSES[0] / "0.png").chmod(0o600)
    save(root / CLASSES[1] / "private" / "a.png", 5).parent.chmod(0o700)
    code = AS_NOBODY.format(nobody=NOBODY, classes=CLASSES)
    done = subprocess.run(
        [sys.executable, "-c", code, str(root)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "0.png cannot be read: Permission denied",
        f"{CLASSES[1]}/private a folder that cannot be read: Permission denied",
    ]
