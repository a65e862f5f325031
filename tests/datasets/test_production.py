"""The source of data in each environment: every pipeline gets as far as its source."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from conf.errors import UserError
from conf.schema import Source
from tests.common import composed, pipelines
from tests.datasets.common import UNREACHABLE


def settings(pipeline: str, env: str) -> Any:
    """The dataset that `pipeline` reads in `env`."""
    given = ["predict.input=a", "predict.output=b"] if pipeline.startswith("predict_") else []
    return composed(f"+pipeline={pipeline}", f"env={env}", *given).dataset


@pytest.mark.parametrize("pipeline", pipelines())
def test_development_reads_the_drawn_sample(pipeline: str) -> None:
    assert settings(pipeline, "development").source == Source.sample


@pytest.mark.parametrize("pipeline", pipelines())
def test_production_reads_a_source_that_the_dataset_has_or_says_what_to_give(
    pipeline: str, no_network: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", UNREACHABLE)
    dataset = settings(pipeline, "production")
    build = importlib.import_module(f"datasets.{dataset.name}.dataset").build
    with pytest.raises(UserError) as refused:
        build(dataset, tmp_path)
    asked = {
        Source.kaggle: rf"dataset\.kaggle='{dataset.get('kaggle')}' cannot be fetched: .*network",
        Source.archives: r"cannot be fetched",
        Source.directory: r"needs dataset\.path=/a/.*dataset\.source=sample",
    }
    assert re.search(asked[dataset.source], str(refused.value))


@pytest.mark.parametrize("pipeline", pipelines(task="train"))
@pytest.mark.parametrize("env", ["development", "production"])
def test_the_command_line_chooses_another_source(
    pipeline: str, env: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", UNREACHABLE)
    chosen = composed(f"+pipeline={pipeline}", f"env={env}", "dataset.source=directory")
    assert chosen.dataset.source == Source.directory
    assert composed(f"+pipeline={pipeline}", f"env={env}", "env.source=sample").dataset.source == (
        Source.sample
    )
