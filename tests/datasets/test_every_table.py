"""Every dataset in a table builds from its sample and honours the contract."""

import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf
from pandas.api.types import is_integer_dtype

from conf.errors import UserError
from conf.schema import TableDataset
from datasets.common.tables import Contract, Table, load, validated
from tests.common import datasets, part

ROWS = 300


@pytest.fixture(scope="module", params=datasets(kind=TableDataset))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def config(name: str) -> Any:
    return part("dataset", name, "dataset.source=sample", f"dataset.sample_rows={ROWS}")


def build(config: Any, cache: Path) -> Table:
    return importlib.import_module(f"datasets.{config.name}.dataset").build(config, cache)


def contract(name: str) -> Contract:
    return importlib.import_module(f"datasets.{name}.common").CONTRACT


def test_the_sample_is_complete(config: Any, tmp_path: Path) -> None:
    table = build(config, tmp_path)
    assert table.name == config.name and table.classes == tuple(config.classes)
    assert set(table.features) == set(config.features)
    assert table.frame.columns.tolist() == [*table.features, "label", "group", "row"]
    assert set(table.SPLIT_COLUMNS) <= set(table.frame.columns)
    assert table.frame[["label", table.GROUP_COLUMN]].dtypes.map(is_integer_dtype).all()
    assert table.frame.index.tolist() == list(range(len(table.frame)))
    assert set(table.frame["label"]) == set(range(len(table.classes)))
    assert len(table.frame) + len(table.quarantined) == ROWS
    assert not set(table.frame["row"]) & set(table.quarantined["row"])
    assert (table.quarantined["reason"] != "").all()
    assert re.fullmatch("[0-9a-f]{64}", table.digest)


def test_every_column_is_a_feature_or_refused_with_a_reason(name: str) -> None:
    given = contract(name)
    assert set(given.features) | set(given.refused) == set(given.columns.columns)
    assert not set(given.features) & set(given.refused)
    assert all(len(reason) > 10 for reason in given.refused.values())
    assert given.group in given.refused


def test_a_refused_column_is_named_with_its_reason(config: Any, tmp_path: Path) -> None:
    for column, reason in contract(config.name).refused.items():
        asked = OmegaConf.merge(config, {"features": [*config.features, column]})
        assert isinstance(asked, DictConfig)
        with pytest.raises(UserError, match=re.escape(f"{column} is refused: {reason}")):
            build(asked, tmp_path)


def test_features_have_types_limits_and_words_for_people(config: Any) -> None:
    everything = OmegaConf.merge(config, {"features": list(contract(config.name).features)})
    assert isinstance(everything, DictConfig)
    table = build(everything, Path())
    for column, each in table.schema["properties"].items():
        assert each["title"] and each["description"]
        assert "enum" in each or "minimum" in each, column
        values = table.frame[column]
        assert table.categories.get(column) == each.get("enum")
        if "enum" in each:
            assert set(values.dropna()) <= set(each["enum"])
        else:
            assert values.dropna().between(each["minimum"], each["maximum"]).all()
        assert values.notna().all() or "null" in each["type"]
        assert ("null" in each["type"]) == (column not in table.schema["required"])


def test_building_again_gives_the_same_and_another_seed_another_table(
    config: Any, tmp_path: Path
) -> None:
    table = build(config, tmp_path)
    assert build(config, tmp_path / "elsewhere").digest == table.digest
    other = OmegaConf.merge(config, {"seed": config.seed + 1})
    assert isinstance(other, DictConfig)
    assert build(other, tmp_path).digest != table.digest


def test_the_sample_as_a_file_is_the_same_table(config: Any, tmp_path: Path) -> None:
    draw = importlib.import_module(f"datasets.{config.name}.synthetic").draw
    frame = load(config, contract(config.name), draw)
    path = tmp_path / "a.csv"
    frame[frame.columns[::-1]].to_csv(path, index=False, na_rep="NA")  # in another order
    from_file = part("dataset", config.name, "dataset.source=directory", f"dataset.path={path}")
    table = build(from_file, tmp_path)
    assert table.digest == build(config, tmp_path).digest
    with pytest.raises(UserError, match="has a header and no rows"):
        validated(frame.head(0), contract(config.name))
    assert np.array_equal(table.frame["label"], build(config, tmp_path).frame["label"])
