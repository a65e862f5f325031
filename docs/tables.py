"""Fill the marked tables of the README and the guides from their sources.

    python -m docs.tables

A table stands between `<!-- table: name -->` and `<!-- end -->`. Its source is the schema and the
YAML files (`settings`, `environments`, `trainings`), `docs/results/` (`results`, `recall`,
`origins`, `tables`, `calibration`, `coverage`), the limits of a service (`limits`), or what a
benchmark printed (`benchmark/<name>`).
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

from pdoc.doc_ast import walk_tree

from deploy.serving.http.limits import PREFIX, Limits
from docs import benchmarks, results, settings
from docs.markdown import code, filled, spread, table
from docs.pages import README, sources

SHORT = 8
"""Letters of a run's id that a table shows."""
AVERAGES = ("recall_macro", "recall_weighted")
"""Recalls that are of no class."""
WEIGHTS = {"imagenet": "ImageNet", "none": "random"}


def _images() -> Iterator[results.Result]:
    return (found for found in results.load().values() if found.weights)


def _rows() -> Iterator[results.Result]:
    return (found for found in results.load().values() if not found.weights)


def _cell(found: results.Result, name: str) -> str:
    return spread(*found.metrics[name]) if name in found.metrics else ""


def model_name(found: results.Result) -> str:
    """What texts call the model of a result: the first word of its docstring."""
    path = README.parent / "models" / found.model / "__init__.py"
    said = ast.get_docstring(ast.parse(path.read_text())) if path.is_file() else None
    return said.split()[0] if said else found.model.replace("_", " ")


def _said(found: results.Result) -> str:
    weights = WEIGHTS.get(
        found.weights, "ImageNet" if "imagenet" in found.weights else found.weights
    )
    return f"{model_name(found)}, {weights} weights"


def image_results() -> str:
    """Markdown: one row a result on images."""
    return table(
        ["data", "model", "test", "accuracy", "macro F1", "MCC"],
        [
            [
                code(found.data),
                _said(found),
                f"{found.protocol}, {found.count:,} images",
                *(_cell(found, name) for name in ("accuracy", "f1_macro", "mcc")),
            ]
            for found in _images()
            if not found.footnote
        ],
    )


def recalls() -> str:
    """Markdown: the recall of each class, a row a class."""
    rows = []
    for found in _images():
        first = [code(found.data), _said(found), found.protocol]
        for name in found.metrics:
            if name.startswith("recall_") and not name.startswith(AVERAGES):
                rows.append([*first, name.removeprefix("recall_"), _cell(found, name)])
                first = ["", "", ""]
    return table(["data", "model", "test", "class", "recall"], rows)


def origins() -> str:
    """Markdown: the revision and the run of each result, and what sets it apart."""
    return table(
        ["data", "model", "test", "revision", "run", "remarks"],
        [
            [
                code(found.data),
                _said(found) if found.weights else model_name(found),
                found.protocol,
                found.revision,
                _run(found),
                found.note,
            ]
            for found in [*_images(), *_rows()]
        ],
    )


def _run(found: results.Result) -> str:
    """An id in MLflow, short as those of git; `docs/results/` has all of it."""
    return code(found.run[:SHORT]) if found.run.isalnum() else found.run


def calibration() -> str:
    """Markdown: calibration errors before and after the temperature, a row a result."""
    names = [f"{error}_{when}" for error in ("ece", "brier") for when in ("before", "after")]
    return table(
        ["data", "model", "test", "ECE before", "after", "Brier score before", "after"],
        [
            [code(found.data), _said(found), found.protocol, *(_cell(found, n) for n in names)]
            for found in _images()
            if "ece_after" in found.metrics
        ],
    )


def coverage() -> str:
    """Markdown: the error of the surest predictions, and of those that the model gives."""
    shares = [f"{100 * share:g} %" for share in results.COVERAGES]
    rows = []
    for found in _images():
        if "abstention_refused" not in found.metrics or "risk_1" not in found.metrics:
            continue
        (refused, *_), (right, *_) = (
            found.metrics[f"abstention_{name}"] for name in ("refused", "accuracy")
        )
        errors = [found.metrics[f"risk_{share:g}"][0] for share in results.COVERAGES]
        said = [f"{100 * error:.1f} %" for error in (*errors, refused, 1 - right)]
        rows.append([code(found.data), _said(found), found.protocol, *said])
    return table(
        ["data", "model", "test", *(f"error of {share}" for share in shares), "abstains", "error"],
        rows,
    )


def table_results() -> str:
    """Markdown: one row a result on tables."""
    return table(
        ["data", "estimator", "test", "ROC AUC", "accuracy", "Brier score"],
        [
            [
                code(found.data),
                model_name(found),
                f"{found.protocol}, {found.count:,} rows",
                *(_cell(found, name) for name in ("roc_auc_macro", "accuracy", "brier")),
            ]
            for found in sorted(_rows(), key=lambda found: -found.metrics["roc_auc_macro"][0])
        ],
    )


def limits() -> str:
    """Markdown: what an environment variable changes in a service."""
    said = walk_tree(Limits).var_docstrings
    rows = [
        [
            code(f"{PREFIX}{field.name.upper()}"),
            code(f"{field.default:,}"),
            " ".join(said.get(field.name, "").split()),
        ]
        for field in fields(Limits)
    ]
    return table(["variable", "default", "meaning"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "settings": settings.settings,
    "environments": settings.environments,
    "trainings": settings.trainings,
    "results": image_results,
    "recall": recalls,
    "origins": origins,
    "tables": table_results,
    "calibration": calibration,
    "coverage": coverage,
    "limits": limits,
}


def table_of(name: str) -> str:
    """The Markdown of the table `name`. Raises `SystemExit` for one that is unknown."""
    kind, _, benchmark = name.partition("/")
    if kind == "benchmark" and (benchmarks.BENCHMARKS / f"{benchmark}.json").is_file():
        return benchmarks.load(benchmark).markdown()
    if name not in TABLES:
        raise SystemExit(f"docs: there is no table {name!r}; there is {', '.join(TABLES)}")
    return TABLES[name]()


def pages() -> list[Path]:
    """The README and the guides."""
    return [README, *sources().values()]


def main() -> None:
    """Fill every page, and say which changed."""
    for path in pages():
        before = path.read_text()
        after = filled(before, table_of)
        if after != before:
            path.write_text(after)
            print(f"docs: {path.relative_to(README.parent)} has new tables")


if __name__ == "__main__":
    main()
