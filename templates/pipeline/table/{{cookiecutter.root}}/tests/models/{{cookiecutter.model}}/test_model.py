"""The parts of {{cookiecutter.model}}; for every model see test_every_table_model.py."""

from models.{{cookiecutter.model}}.model import build
from tests.common import part


def test_the_estimator_is_the_one_that_the_settings_name() -> None:
    config = part("model", "{{cookiecutter.model}}", "model.estimator=random_forest")
    pipeline = build(config, {"colour": ["blue", "red"]}, ["height"], seed=0)
    assert type(pipeline["estimator"]).__name__ == "RandomForestClassifier"
