"""Files of tensors: what is read, and that what a file says is never run."""

import builtins
import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conf.errors import UserError
from models.efficientnetliteft.torch_file import MAGIC, PROTOCOL, read_tensors

NUMBERS = np.arange(6, dtype="<f4")


def body(value: Any) -> bytes:
    """The pickle of `value` without its first and last opcode, to stand inside another."""
    return pickle.dumps(value, 2)[2:-1]


def tensor(offset: int = 0, shape: tuple = (2, 3), strides: tuple = (3, 1)) -> bytes:
    """What PyTorch pickles for a tensor: a call with a storage, which stands elsewhere."""
    facts = body("0") + body("cpu") + body(len(NUMBERS)) + body(None)
    storage = b"(" + body("storage") + b"ctorch\nFloatStorage\n" + facts + b"tQ"
    view = storage + body(offset) + body(shape) + body(strides) + body(False) + body(None)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + view + b"tR"


def file_of(weight: bytes) -> bytes:
    """A whole file with one entry, `weight`."""
    return b"".join(
        [
            *(pickle.dumps(value, 2) for value in (MAGIC, PROTOCOL, {"little_endian": True})),
            b"\x80\x02}" + body("weight") + weight + b"s.",
            pickle.dumps(["0"], 2),
            len(NUMBERS).to_bytes(8, "little") + NUMBERS.tobytes(),
        ]
    )


class Call:
    """Pickled, it asks for a call."""

    def __init__(self, function: Any, argument: str) -> None:
        self.call = (function, (argument,))

    def __reduce__(self) -> tuple:
        return self.call


def test_a_strided_view_is_read_as_the_array_it_shows() -> None:
    read = read_tensors(file_of(tensor(shape=(3, 2), strides=(1, 3))), "w.pth")
    assert list(read) == ["weight"]
    np.testing.assert_array_equal(read["weight"], NUMBERS.reshape(2, 3).T)
    assert read["weight"].flags.c_contiguous and read["weight"].flags.owndata


@pytest.mark.parametrize(
    "view",
    [
        {"offset": 1},
        {"offset": -1},
        {"strides": (2**40, 1)},
        {"strides": (3, -1)},
        {"shape": (2**40, 1), "strides": (0, 1)},
    ],
    ids=str,
)
def test_a_view_that_leaves_or_repeats_its_storage_is_refused(view: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"w\.pth .*does not lie in its storage of 6 numbers"):
        read_tensors(file_of(tensor(**view)), "w.pth")


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("function", "name"),
    [(os.system, r"(posix|nt)\.system"), (builtins.eval, r"(builtins|__builtin__)\.eval")],
    ids=["os.system", "eval"],
)
def test_a_file_that_asks_for_a_call_is_refused_by_name_and_nothing_runs(
    function: Any, name: str, protocol: int, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    words = {os.system: f"touch {trace}", eval: f"open({str(trace)!r}, 'w')"}
    call = Call(function, words[function])
    pickle.loads(pickle.dumps(call, protocol))  # what this test is about
    assert trace.exists()
    trace.unlink()
    first = pickle.dumps(call, protocol)
    within = file_of(pickle.dumps(call, 2)[2:-1])
    for content in (first, within):
        with pytest.raises(UserError, match=rf"w\.pth names {name}, .*nothing was run"):
            read_tensors(content, "w.pth")
    assert not trace.exists()


@pytest.mark.parametrize("name", ["torch.load", "torch._utils._import_dotted_name", "os.path.join"])
def test_other_names_are_refused_even_of_pytorch(name: str) -> None:
    module, _, function = name.rpartition(".")
    with pytest.raises(UserError, match=f"names {name}"):
        read_tensors(file_of(f"c{module}\n{function}\n".encode()), "w.pth")


def test_a_pickle_cannot_change_the_reader() -> None:
    change = b"ctorch._utils\n_rebuild_tensor_v2\n" + body((None, {"view": 1})) + b"b"
    with pytest.raises(UserError, match="no attribute 'view'"):
        read_tensors(file_of(change), "w.pth")


def test_a_file_cut_off_anywhere_is_a_clear_error() -> None:
    whole = file_of(tensor())
    for length in range(len(whole)):
        with pytest.raises(UserError, match=r"w\.pth is cut off, or no file of PyTorch tensors"):
            read_tensors(whole[:length], "w.pth")
    with pytest.raises(UserError, match="1 bytes follow the last storage"):
        read_tensors(whole + b"\0", "w.pth")


def test_a_zip_is_refused_whole_or_cut_off() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", file_of(tensor()))
    for content in (file.getvalue(), file.getvalue()[:40]):
        with pytest.raises(UserError, match=r"w\.pth is a zip.*only the form before it"):
            read_tensors(content, "w.pth")
