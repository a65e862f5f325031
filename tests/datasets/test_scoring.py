"""Files scored in order, in batches, each with probabilities or a reason."""

from pathlib import Path

import numpy as np

from datasets.common.images import BadImage, Verdict, score_files
from datasets.common.images.types import Kind


def test_every_frame_gets_its_own_row_and_a_bad_file_its_reason() -> None:
    sizes: list[int] = []

    def load(path: Path) -> list[np.ndarray]:
        if path.name == "bad":
            raise BadImage(Kind.EMPTY, "empty file")
        count = 3 if path.name == "scan" else 1
        return [np.full((2, 2, 3), ord(path.name[0]) + n, np.uint8) for n in range(count)]

    def predict(pixels: np.ndarray) -> tuple[np.ndarray, list[Verdict]]:
        sizes.append(len(pixels))
        values = pixels[:, 0, 0, :2].astype(float)
        return values, [Verdict(value > 116) for value in values[:, 0]]

    paths = [Path(name) for name in ("a", "bad", "scan", "b", "c")]
    found = list(score_files(paths, load, predict, batch_size=2, workers=2))
    assert [(each.path.name, each.frame) for each in found] == [
        ("a", None), ("bad", None), ("scan", 0), ("scan", 1), ("scan", 2), ("b", None), ("c", None),
    ]  # fmt: skip
    values = [None if each.probabilities is None else each.probabilities[0] for each in found]
    assert values == [97, None, 115, 116, 117, 98, 99]
    withheld = [each.verdict.abstained for each in found]
    assert withheld == [False, None, False, False, True, False, False]
    assert found[1].bad is not None and found[1].bad.reason == "empty file"
    assert sizes == [1, 3, 2]


def test_nothing_is_predicted_of_files_without_an_image() -> None:
    def load(path: Path) -> list[np.ndarray]:
        raise BadImage(Kind.EMPTY, "empty file", path)

    def predict(_pixels: np.ndarray) -> tuple[np.ndarray, list[Verdict]]:
        raise AssertionError("there is nothing to predict")

    (found,) = score_files([Path("x")], load, predict)
    assert found.probabilities is None
