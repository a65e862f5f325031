"""Figures of the documentation come from runs and benchmarks, and plots from those figures."""

import re
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from docs import benchmarks, pictures, results, tables
from docs.markdown import spread
from tests.common import ROOT, new_store

pytestmark = pytest.mark.slow

CONFIG = """\
dataset: {name: kidney2, path: /data/kidney4}
model: {name: vgg16ft, weights: /w/vgg16.weights.h5}
split: {by: cluster}
metrics: {folds: 6}
"""
TABLE_CONFIG = """\
dataset: {name: treesurvival}
model: {name: treesurvival, estimator: null}
metrics: {folds: 6}
"""


def logged(uri: str, artifacts: Path, finish: bool = True) -> str:
    """A run as a training of five folds logs it."""
    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient()
    experiment = client.create_experiment(artifacts.name, artifacts.as_uri())
    run = client.create_run(experiment, tags={"git_revision": "0123456789ab", "git_dirty": "false"})
    name = run.info.run_id
    for key, value in {"": 0.786, "_low": 0.7, "_high": 0.86}.items():
        client.log_metric(name, f"test_accuracy{key}", value)
    client.log_metric(name, "val_accuracy", 0.9)
    client.log_param(name, "split.folds", 5)
    client.log_text(name, CONFIG, "config.yaml")
    client.log_text(name, "file,label\na,0\nb,1\nc,1\n", "tables/predictions.csv")
    if finish:
        client.set_terminated(name)
    return str(name)


def run_results(uri: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"MLFLOW_TRACKING_URI": uri, "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-m", "docs.results", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )


def test_the_figures_of_a_run_are_kept_with_where_they_come_from(tmp_path: Path) -> None:
    uri = new_store(tmp_path)
    run = logged(uri, tmp_path / "runs")
    done = run_results(uri, "--run", run, "--note", "a note", "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = results.load(tmp_path)["kidney4-vgg16ft-cluster"]
    assert found == results.Result(
        data="kidney4",
        model="vgg16ft",
        weights="vgg16.weights.h5",
        split="cluster",
        folds=5,
        count=3,
        revision="0123456",
        run=run,
        note="a note",
        metrics={"accuracy": [0.786, 0.7, 0.86]},
    )
    assert found.protocol == "5 folds by cluster"


def test_a_run_that_compares_estimators_gives_figures_of_each_and_of_the_choice(
    tmp_path: Path,
) -> None:
    uri = new_store(tmp_path)
    run = logged(uri, tmp_path / "runs", finish=False)
    client = mlflow.MlflowClient()
    shown = {"": 0.898, "extra_trees_": 0.901, "logistic_regression_": 0.894}
    for start, value in shown.items():
        client.log_metric(run, f"cv_{start}roc_auc_macro", value)
        client.log_metric(run, f"cv_{start}roc_auc_macro_low", value - 0.1)
        client.log_metric(run, f"cv_{start}roc_auc_macro_high", value + 0.1)
    client.log_text(run, TABLE_CONFIG, "config.yaml")
    client.log_text(run, "row,split\n0,train\n1,test\n", "data/splits.csv")
    client.set_terminated(run)
    done = run_results(uri, "--run", run, "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = results.load(tmp_path)
    assert sorted(found) == [
        "treesurvival-best_of_each_fold",
        "treesurvival-extra_trees",
        "treesurvival-logistic_regression",
    ]
    values = {one.model: one.metrics["roc_auc_macro"][0] for one in found.values()}
    assert values == {
        "best of each fold": 0.898,
        "extra_trees": 0.901,
        "logistic_regression": 0.894,
    }
    assert {(one.count, one.protocol) for one in found.values()} == {(2, "6 folds by group")}


def test_an_unknown_or_unfinished_run_gives_no_figures(tmp_path: Path) -> None:
    uri = new_store(tmp_path)
    run = logged(uri, tmp_path / "runs", finish=False)
    unfinished = run_results(uri, "--run", run, "--results", str(tmp_path))
    unknown = run_results(uri, "--run", "nothing", "--results", str(tmp_path))
    assert "is RUNNING" in unfinished.stderr
    assert "--run nothing" in unknown.stderr
    assert unfinished.returncode == unknown.returncode == 1
    assert list(tmp_path.glob("*.json")) == []


def test_what_a_benchmark_prints_becomes_tables_with_revision_and_machine(tmp_path: Path) -> None:
    text = "\n| a | b |\n|---|---|\n| x | 1.0 |\n| y |  |\n\n- a sentence\n\n| c |\n|---|\n| 2 |\n"
    tables, lines = benchmarks.parsed(text)
    assert tables == [(["a", "b"], [["x", "1.0"], ["y", ""]]), (["c"], [["2"]])]
    assert lines == ["a sentence"]
    kept = benchmarks.Benchmark("python b.py", "abc", "2 cores", "2026-11-24", tables, lines)
    benchmarks.write(kept, "b", tmp_path)
    shown = benchmarks.load("b", tmp_path).markdown()
    assert "| x | 1.0 |" in shown
    assert "- a sentence" in shown
    assert shown.endswith("Revision abc, 2026-11-24, 2 cores: `python b.py`")


def test_a_benchmark_that_fails_or_prints_no_table_is_not_kept(tmp_path: Path) -> None:
    script = tmp_path / "b.py"
    for body, words in (("raise SystemExit(3)", "status 3"), ("print('nothing')", "no table")):
        script.write_text(body)
        command = [sys.executable, "-m", "docs.benchmarks", "--name", "never", "--", str(script)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 1
        assert words in done.stderr
    assert not (benchmarks.BENCHMARKS / "never.json").exists()


def test_every_kept_figure_says_its_revision_and_source() -> None:
    for name, found in results.load().items():
        assert found.revision and found.run and found.count, name
        assert all(low <= value <= high for value, low, high in _intervals(found)), name
    for path in benchmarks.BENCHMARKS.glob("*.json"):
        kept = benchmarks.load(path.stem)
        assert kept.revision and kept.machine and kept.date and kept.tables, path.name
        assert all(len(row) == len(head) for head, rows in kept.tables for row in rows), path.name


def test_every_figure_that_an_experiment_names_is_a_result() -> None:
    kept = {
        spread(*values)
        for found in results.load().values()
        for values in found.metrics.values()
        if len(values) == 3
    }
    named = {
        path.stem: re.findall(r"\d\.\d{3} \[[^\]]+\]", path.read_text())
        for path in (ROOT / "conf" / "experiment").glob("*.yaml")
    }
    assert any(named.values())
    assert {name: set(shown) - kept for name, shown in named.items() if set(shown) - kept} == {}


def test_the_error_of_the_surest_predictions_is_that_of_the_file(tmp_path: Path) -> None:
    rows = ["a,b,file,label,answer"]
    for k in range(20):  # the two least sure predictions are wrong
        wrong = k >= 18
        rows.append(f"{0.99 - 0.02 * k:.2f},{0.01 + 0.02 * k:.2f},{k},{'b' if wrong else 'a'},a")
    (tmp_path / "predictions.csv").write_text("\n".join(rows))
    found = results.risks(tmp_path / "predictions.csv", ["a", "b"])
    assert found == {
        "risk_1": 0.1, "risk_0.95": pytest.approx(1 / 19), "risk_0.9": 0, "risk_0.8": 0,
        "risk_0.7": 0,
    }  # fmt: skip


def test_calibration_and_coverage_have_a_row_for_each_result_that_measured_them() -> None:
    for shown in (tables.calibration(), tables.coverage()):
        head, _, *rows = shown.splitlines()
        assert rows and all(row.count("|") == head.count("|") for row in rows)
    assert " 6.9 %" in tables.coverage() and "0.016 [" in tables.calibration()


def test_the_table_of_recalls_names_classes_alone() -> None:
    shown = tables.recalls()
    assert "3_esophagitis" in shown
    assert not re.search("macro|weighted|fold_", shown)


def _intervals(found: results.Result) -> list[list[float]]:
    return [values for values in found.metrics.values() if len(values) == 3]


def test_the_leak_is_plotted_from_pairs_of_the_same_data_and_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def result(data: str, split: str, value: float) -> None:
        metrics = {"accuracy": [value, value - 0.1, min(1.0, value + 0.1)]}
        found = results.Result(data, "vgg16ft", "none", split, 5, 10, "abc", "run", "", metrics)
        results.write(found, f"{data}-{split}", tmp_path)

    result("a", "random", 0.9)
    result("a", "cluster", 0.5)
    result("b", "random", 0.9)
    [(at_random, grouped)] = pictures.pairs(results.load(tmp_path))
    assert (at_random.split, grouped.split, at_random.data) == ("random", "cluster", "a")
    monkeypatch.setattr(pictures, "PICTURES", tmp_path)
    monkeypatch.setattr(results.load, "__defaults__", (tmp_path,))
    pictures.of_leak()
    assert (tmp_path / "leak.png").read_bytes().startswith(b"\x89PNG")
