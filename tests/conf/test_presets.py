"""Presets: each published figure is one short command, and the whole way can be had in no time."""

import pytest

from conf.choices import entry_of
from tests.common import composed, pipelines, presets

PATH = "dataset.path=/images"
KIDNEY = [
    "+pipeline=train_vgg16ft", "model.weights=none", "model.image_size=112", "dataset.limit=null",
    "fit.finetune.learning_rate=1e-4", "fit.finetune.epochs=8", "fit.augment.rotation=0",
    "fit.augment.shift=0", "fit.augment.shear=0", "fit.augment.zoom=0",
    "fit.augment.horizontal_flip=false", "split.folds=5",
]  # fmt: skip
MOBILE = ["+pipeline=train_mobilenetv2ft-kidney2", "dataset.limit=null", "split.folds=5"]
PUBLISHED = {
    "endoscopy4_efficientnetliteft": [
        "+pipeline=train_efficientnetliteft", "split.by=cluster", "split.folds=5",
    ],
    "kidney4_efficientnetliteft_series": [
        "+pipeline=train_efficientnetliteft-kidney2", "dataset.limit=null", "split.by=cluster",
        "split.folds=5",
    ],
    "endoscopy4_mobilenetv2ft": [
        "+pipeline=train_mobilenetv2ft", "split.by=cluster", "split.folds=5",
    ],
    "endoscopy4_resnet50v2ft": [
        "+pipeline=train_resnet50v2ft", "split.by=cluster", "model.weights=none",
        "fit.precision=float32", "fit.warmup.epochs=1", "fit.finetune.epochs=7",
        "fit.class_weights=balanced",
    ],
    "kidney2_vgg16ft_random": [*KIDNEY, "split.by=random"],
    "kidney2_vgg16ft_series": [*KIDNEY, "split.by=cluster"],
    "kidney4_mobilenetv2ft_random": [*MOBILE, "split.by=random"],
    "kidney4_mobilenetv2ft_series": [*MOBILE, "split.by=cluster"],
    "treesurvival": ["+pipeline=train_treesurvival"],
}  # fmt: skip
"""The long command that each published figure came from."""


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.mark.parametrize("experiment", presets("experiment"))
def test_an_experiment_is_the_long_command_of_its_figure(
    experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = composed(f"+experiment={experiment}", PATH)
    assert short.env.tracking_uri == "sqlite:///mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", short.env.tracking_uri)
    given = ["env=production", "dataset.source=directory", PATH]
    assert short == composed(*PUBLISHED[experiment], *given)


@pytest.mark.parametrize("experiment", presets("experiment"))
def test_an_experiment_is_small_in_development_and_logs_where_it_is_told(
    experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    config = composed(f"+experiment={experiment}", "env=development", PATH)
    assert config.env.tracking_uri == "http://127.0.0.1:1"
    assert config.dataset.source.name == "directory"
    if "transform" in config:
        pretrained = config.model.name == "efficientnetliteft"
        assert config.transform.image_size == (224 if pretrained else 64)
        assert config.dataset.limit == 200
        assert config.fit.batch_size == 16


@pytest.mark.parametrize("env", ["development", "production"])
@pytest.mark.parametrize("pipeline", pipelines())
def test_debugging_fast_makes_every_pipeline_tiny_wherever_it_stands(
    pipeline: str, env: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    given = ["predict.input=a", "predict.output=b"] if pipeline.startswith("predict_") else []
    chosen = [f"+pipeline={pipeline}", f"env={env}", *given]
    config = composed(*chosen, "+debug=fast")
    assert config == composed("+debug=fast", *chosen)
    if entry_of(pipeline) != "train":
        return
    assert config.metrics.bootstrap == 20
    if "transform" not in config:
        assert config.fit.candidates == 1
        return
    fit = config.fit
    assert (fit.warmup.epochs, fit.finetune.epochs, fit.steps, fit.batch_size) == (1, 1, 2, 8)
    assert fit.cache.name == "none"
    assert config.transform.image_size == 32
    assert config.dataset.limit == 20


@pytest.mark.parametrize("experiment", presets("experiment"))
def test_an_experiment_can_be_debugged(experiment: str) -> None:
    config = composed(f"+experiment={experiment}", "+debug=fast", PATH)
    assert config.env.name == "production"
    assert config.metrics.bootstrap == 20


def test_without_debugging_nothing_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    for env in ("development", "production"):
        images = composed("+pipeline=train_resnet50v2ft", f"env={env}")
        assert (images.fit.steps, images.fit.cache.name) == (None, "activations")
        assert images.metrics.bootstrap == 1000
        table = composed("+pipeline=train_treesurvival", f"env={env}")
        assert (table.fit.candidates, table.metrics.bootstrap) == (12, 1000)
