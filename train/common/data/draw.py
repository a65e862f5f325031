"""Test and validation of whole groups, stratified by class: for images and for tables."""

from collections.abc import Callable
from itertools import islice

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from conf.errors import UserError

Few = Callable[[int, int, int, str, float], str]
"""What to say when a class has too few groups: its number, how many it has, how many are needed,
and the split with its share."""


def draw(
    labels: np.ndarray,
    groups: np.ndarray,
    validation: float,
    test: float,
    seed: int,
    few: Few,
    fold: int = 0,
) -> np.ndarray:
    """Names of the splits (N,): first test, its fold number `fold`, then validation from the rest.

    `validation` and `test` are shares of the N. Raises `UserError` where they leave nothing, and
    with the words of `few` where groups are too few.
    """
    if not 0 < validation + test < 1 or min(validation, test) <= 0:
        raise UserError(
            f"split.validation={validation} and split.test={test} must be positive and leave "
            "something to train on"
        )
    names = np.full(len(labels), "train", dtype="<U10")
    rest, left = np.arange(len(labels)), 1.0
    for name, share, number in (("test", test, fold), ("validation", validation, 0)):
        folds = max(2, round(left / share))
        found = pd.Series(groups[rest]).groupby(labels[rest]).nunique()
        if found.min() < folds:
            raise UserError(few(int(found.idxmin()), int(found.min()), folds, name, share))
        folder = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        _, chosen = next(islice(folder.split(rest, labels[rest], groups[rest]), number, None))
        names[rest[chosen]] = name
        rest, left = np.delete(rest, chosen), left - share
    return names
