"""One reader of CSV files: the cells that it gives, and its messages for a bad file."""

import re
from pathlib import Path

import pytest

from conf.errors import UserError
from datasets.common.tables.csv_reader import open_csv, read_csv

COLUMNS = ("No", "Plot")


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_cells_are_text_and_empty_ones_and_na_are_none(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b'\xef\xbb\xbf No ,Plot\r\n 007,NA\r\n\r\n"a, b", \r\n')
    frame = read_csv(path, COLUMNS)
    assert frame.columns.tolist() == ["No", "Plot"]
    assert frame.to_numpy().tolist() == [["007", None], ["a, b", None]]
    assert read_csv(path, COLUMNS, str).to_numpy().tolist() == [[" 007", "NA"], ["a, b", " "]]


def test_rows_are_read_one_by_one_and_a_bad_one_does_not_stop_the_others(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b"No,Plot\n1,2\n1\n3,4\n" + b"5,6\n" * 5000 + b"\xff\n")
    with open_csv(path) as (names, rows):
        assert names == ["No", "Plot"]
        assert [next(rows) for _ in range(3)] == [
            ["1", "2"], "1 cells, and the header has 2", ["3", "4"]
        ]  # fmt: skip
        with pytest.raises(UserError, match=r"is not UTF-8 text \(byte 20018 is 0xff\)"):
            list(rows)


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "is empty"),
    "a picture": (b"\x89PNG\r\n\x1a\n\xff\xfe", "is not UTF-8 text (byte 0 is 0x89)"),
    "another encoding": ("No,Soil\n1,Größe\n".encode("latin-1"), "is not UTF-8 text (byte 12"),
    "another separator": (b"No;Plot\n1;2\n", "has one column, 'No;Plot': separate by commas"),
    "a line too long": (b"No,Plot\n1,2\n1,2,3\n", "row 2 has 3 cells, and the header has 2"),
    "an open quote": (b'No,Plot\n1,"2\n', "is not CSV"),
    "a column twice": (b"No,No\n1,2\n", "has the column 'No' twice: remove one of them"),
    "a misspelled column": (b"No,Plott\n1,2\n", "has no column Plot; is 'Plott' meant for it?"),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_what_is_no_table_says_why(what: str, tmp_path: Path) -> None:
    content, message = BAD_FILES[what]
    path = write(tmp_path / "a.csv", content)
    with pytest.raises(UserError, match=re.escape(str(path)) + ".*" + re.escape(message)):
        read_csv(path, COLUMNS)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.csv cannot be read: No such file"):
        read_csv(tmp_path / "none.csv", COLUMNS)
