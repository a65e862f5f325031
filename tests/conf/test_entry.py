"""The command line as a user meets it: quick, and every mistake is told with the way out."""

import os
import re
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from conf.choices import experiments
from conf.choices import pipelines as known_to
from tests.common import ROOT, composed, pipelines

HEAVY = ("tensorflow", "keras", "mlflow", "pandas", "sklearn")
PIPELINE = "+pipeline=train_resnet50v2ft"
ENTRIES = {
    "train": "train_resnet50v2ft",
    "datasets": "study_kvasir4",
    "models": "predict_resnet50v2ft",
}
"""A pipeline of each."""
# Runs `python -m <package>` and prints the heavy modules it loaded.
WATCHED = f"""
import atexit, runpy, sys
atexit.register(lambda: print("HEAVY", [m for m in {HEAVY!r} if m in sys.modules]))
entry = sys.argv.pop(1)
runpy.run_module(entry, run_name="__main__", alter_sys=True)
"""


def answer(
    *arguments: str, entry: str = "train", **environment: str
) -> subprocess.CompletedProcess[str]:
    """The finished `python -m <entry>`; its stdout ends with the heavy modules it loaded."""
    env = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"} | environment
    return subprocess.run(
        [sys.executable, "-c", WATCHED, entry, *arguments],
        cwd=ROOT, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("env", ["development", "production"])
@pytest.mark.parametrize("pipeline", pipelines())
def test_every_pipeline_composes_in_every_environment(
    pipeline: str, env: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    given = ["predict.input=a", "predict.output=b"] if pipeline.startswith("predict_") else []
    assert composed(f"+pipeline={pipeline}", f"env={env}", *given).env.name == env
    assert sum(pipeline in known_to(entry) for entry in ENTRIES) == 1


@pytest.mark.parametrize("env", ["development", "production"])
@pytest.mark.parametrize(("entry", "pipeline"), ENTRIES.items())
def test_an_entry_shows_what_would_run_without_heavy_imports(
    entry: str, pipeline: str, env: str
) -> None:
    done = answer(
        f"+pipeline={pipeline}", f"env={env}", "--cfg", "job", "--resolve",
        entry=entry, MLFLOW_TRACKING_URI="http://127.0.0.1:1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    text, _, heavy = done.stdout.partition("HEAVY ")
    assert heavy.strip() == "[]"
    config = OmegaConf.create(text)
    assert config.env.name == env
    assert config.env.promotion == ("allowed" if env == "production" else "refused")


@pytest.mark.parametrize("pipeline", pipelines(task="train"))
def test_development_is_small_and_production_is_the_full_recipe(
    pipeline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    small = composed(f"+pipeline={pipeline}", "env=development")
    full = composed(f"+pipeline={pipeline}", "env=production")
    assert small.dataset.source.name == "sample"
    assert small.env.limits.epochs is not None
    assert all(limit is None for limit in full.env.limits.values())
    assert full.dataset.source.name != "sample"


def test_production_of_resnet50v2ft_is_the_recipe_of_the_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    config = composed(PIPELINE, "env=production")
    assert config.model.weights == "imagenet"
    assert config.model.image_size == config.transform.image_size == 224
    assert (config.fit.warmup.epochs, config.fit.warmup.learning_rate) == (2, 1e-3)
    assert (config.fit.finetune.epochs, config.fit.finetune.learning_rate) == (20, 1e-4)
    assert config.fit.batch_size == 32
    augment = config.fit.augment
    assert (augment.rotation, augment.shift, augment.shear, augment.zoom) == (10, 0.2, 0.2, 0.2)
    assert augment.horizontal_flip


def test_production_of_vgg16ft_is_the_recipe_of_the_kidney_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    config = composed("+pipeline=train_vgg16ft", "env=production")
    assert config.dataset.kaggle == "nazmul0087/ct-kidney-dataset-normal-cyst-tumor-and-stone"
    assert config.dataset.source.name == "kaggle"
    assert (config.dataset.classes, config.dataset.limit) == (["Normal", "Tumor"], 200)
    assert config.model.weights == "imagenet"
    assert config.model.image_size == config.transform.image_size == 224
    assert config.fit.batch_size == 16
    assert config.fit.warmup.epochs + config.fit.finetune.epochs == 5
    assert config.fit.augment.horizontal_flip and config.fit.augment.rotation


@pytest.mark.parametrize("entry", ENTRIES)
def test_help_lists_the_pipelines_without_heavy_imports(entry: str) -> None:
    done = answer("--help", entry=entry)
    assert done.returncode == 0
    for name in ENTRIES.values():
        assert name in done.stdout
    assert done.stdout.rstrip().endswith("HEAVY []")


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_runs_its_own_pipelines_and_names_them(entry: str) -> None:
    others = [ENTRIES[other] for other in ENTRIES if other != entry]
    done = answer(f"+pipeline={others[0]}", entry=entry)
    assert done.returncode == 1
    said, _, choices = done.stderr.partition("choices: ")
    assert f"'{others[0]}' is not for {entry}" in said
    assert ENTRIES[entry] in choices
    assert not any(other in choices for other in others)


def test_a_sweep_of_a_table_is_told_what_searches_there() -> None:
    done = answer("+pipeline=train_treesurvival", "+sweep=quick", entry="train")
    assert done.returncode == 1
    assert "+sweep= is for trainings of images" in done.stderr
    assert "fit.candidates=40" in done.stderr


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_without_a_pipeline_lists_its_ways_with_a_line_each(entry: str) -> None:
    done = answer(entry=entry)
    assert done.returncode == 1
    assert done.stdout.strip() == "HEAVY []"
    shown = dict(re.findall(r"^  \+(\w+=[\w-]+) +(\S.*)$", done.stderr, re.MULTILINE))
    ways = [f"pipeline={name}" for name in known_to(entry)]
    ways += [f"experiment={name}" for name in experiments(entry)]
    assert list(shown) == ways
    for way, line in shown.items():
        text = (ROOT / "conf" / f"{way.replace('=', '/')}.yaml").read_text()
        assert line in " ".join(text.replace("\n#", "").split()), "from the file's own comment"
    assert f"for example: python -m {entry} +pipeline={known_to(entry)[0]}" in done.stderr
    starts = {line.index(said) for line in done.stderr.splitlines() for said in shown.values()
              if said in line}  # fmt: skip
    assert len(starts) == 1, "the lines are not aligned"


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_job_and_its_outputs_are_named_after_the_entry(entry: str) -> None:
    done = answer(f"+pipeline={ENTRIES[entry]}", "--cfg", "hydra", "--resolve", entry=entry)
    config = OmegaConf.create(done.stdout.partition("HEAVY ")[0]).hydra
    assert config.job.name == entry
    assert config.run.dir.startswith(f"outputs/{entry}/")


@pytest.mark.parametrize("pipeline", [p for p in pipelines() if not p.startswith("train_")])
def test_every_job_has_the_module_that_its_recipe_names(pipeline: str) -> None:
    text = (ROOT / "conf" / "pipeline" / f"{pipeline}.yaml").read_text()
    recipe = text.partition("/recipe: ")[2].split()[0]
    assert (ROOT / "train" / "jobs" / f"{recipe}.py").is_file()


MISTAKES = {
    "a misspelt key": ([PIPELINE, "fit.batchsize=3"], ["fit.batchsize", "did you mean batch_size"]),
    "a misspelt group": ([PIPELINE, "fti.batch_size=3"], ["fti", "did you mean fit"]),
    "a key added with +": ([PIPELINE, "+fit.foo=1"], ["fit.foo", "batch_size"]),
    "a wrong type": ([PIPELINE, "fit.batch_size=many"], ["fit.batch_size", "many", "Integer"]),
    "a value that is no choice": ([PIPELINE, "dataset.source=ftp"], ["ftp", "directory"]),
    "an unknown pipeline": (["+pipeline=train_nothing"], ["train_nothing", "train_resnet50v2ft"]),
    "an unknown environment": ([PIPELINE, "env=prod"], ["env/prod", "development, production"]),
    "a pipeline that is nearly there": (
        ["+pipeline=train_resnet50v2"],
        ["did you mean train_resnet50v2ft?"],
    ),
    "an experiment that is nearly there": (
        ["+experiment=endoscopy_mobilenetv2ft"],
        ["choices: endoscopy4_efficientnetliteft,", "did you mean endoscopy4_mobilenetv2ft?"],
    ),
    "an experiment and a pipeline": (
        ["+experiment=treesurvival", PIPELINE],
        ["give +experiment= or +pipeline=, not both"],
    ),
    "an experiment and its pipeline": (
        [PIPELINE, "+experiment=endoscopy4_resnet50v2ft"],
        ["give +experiment= or +pipeline=, not both"],
    ),
    "a missing +pipeline": ([], ["+pipeline", "train_resnet50v2ft"]),
    "a missing +pipeline beside a flag": (["--multirun"], ["+pipeline", "train_resnet50v2ft"]),
    "a pipeline without +": (["pipeline=train_resnet50v2ft"], ["+pipeline=train_resnet50v2ft"]),
    "a missing training folder": ([PIPELINE, "version=v9"], ["train/resnet50v2ft-kvasir4_v9/"]),
    "a prediction of nothing": (
        ["+pipeline=predict_resnet50v2ft"],
        ["predict.input", "predict.output"],
    ),
    "an unknown part": (
        ["+pipeline=study_resnet50v2ft", "study.part=half"],
        ["half", "validation"],
    ),
    "production without a server": ([PIPELINE, "env=production"], ["MLFLOW_TRACKING_URI"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_with_the_key_and_the_choices(mistake: str) -> None:
    arguments, expected = MISTAKES[mistake]
    chosen = arguments[0].removeprefix("+pipeline=") if arguments else ""
    done = answer(*arguments, entry="models" if chosen in known_to("models") else "train")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for text in expected:
        assert text in done.stderr
    assert done.stdout.rstrip().endswith("HEAVY []")
