"""What holds for every model of tables, with each of its estimators."""

import importlib
import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from conf.schema import Estimator, TableModel
from models.tables import TRUSTED
from tests.common import models, part

CATEGORIES: dict[str, list[Any]] = {"colour": ["blue", "red"], "year": [2016, 2017]}
NUMBERS = ["height", "weight"]
ROWS = 120


def rows() -> tuple[pd.DataFrame, np.ndarray]:
    """Rows whose outcome depends on a word and a number; some heights are missing."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "height": rng.normal(size=ROWS),
            "colour": rng.choice(CATEGORIES["colour"], ROWS),
            "weight": rng.normal(size=ROWS),
            "year": rng.choice(CATEGORIES["year"], ROWS),
        }
    )
    labels = (frame["height"] + 2 * (frame["colour"] == "red") > 1).astype(int).to_numpy()
    frame.loc[::7, "height"] = np.nan
    return frame, labels


KINDS = list(itertools.product(models(kind=TableModel), Estimator))


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind[0]}-{kind[1].name}")
def built(request: pytest.FixtureRequest) -> tuple[str, Estimator, Pipeline]:
    name, estimator = request.param
    config = part("model", name, f"model.estimator={estimator.name}")
    build = importlib.import_module(f"models.{name}.model").build
    return name, estimator, build(config, CATEGORIES, NUMBERS, 0)


@pytest.fixture(scope="module")
def fitted(built: tuple[str, Estimator, Pipeline]) -> Pipeline:
    return clone(built[2]).fit(*rows())


def test_takes_raw_rows_and_answers_probabilities(fitted: Pipeline) -> None:
    frame, labels = rows()
    probabilities = fitted.predict_proba(frame)
    assert probabilities.shape == (ROWS, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-9)
    assert np.mean(probabilities.argmax(axis=1) == labels) > 0.85


def test_columns_are_found_by_name(fitted: Pipeline) -> None:
    frame, _ = rows()
    turned = frame[frame.columns[::-1]]
    np.testing.assert_array_equal(fitted.predict_proba(turned), fitted.predict_proba(frame))


def test_the_same_seed_gives_the_same_model(
    built: tuple[str, Estimator, Pipeline], fitted: Pipeline
) -> None:
    frame, labels = rows()
    again = clone(built[2]).fit(frame, labels)
    np.testing.assert_array_equal(again.predict_proba(frame), fitted.predict_proba(frame))


def test_an_unknown_category_is_an_error(fitted: Pipeline) -> None:
    frame, _ = rows()
    frame.loc[0, "colour"] = "green"
    with pytest.raises(ValueError, match="green"):
        fitted.predict_proba(frame)


def test_what_is_drawn_in_the_search_is_a_setting_of_the_pipeline(
    built: tuple[str, Estimator, Pipeline],
) -> None:
    name, estimator, pipeline = built
    space = importlib.import_module(f"models.{name}.common").search_space(estimator)
    assert space
    drawn = {key: values.rvs(random_state=0) for key, values in space.items()}
    clone(pipeline).set_params(**drawn).fit(*rows())


def test_it_is_stored_without_pickle_and_answers_alike(fitted: Pipeline) -> None:
    frame, _ = rows()
    stored = skops.io.dumps(fitted)
    assert set(skops.io.get_untrusted_types(data=stored)) <= set(TRUSTED)
    read = skops.io.loads(stored, trusted=list(TRUSTED))
    np.testing.assert_array_equal(read.predict_proba(frame), fitted.predict_proba(frame))
