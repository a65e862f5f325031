"""The provenance of a run: code, lock, machine, versions, settings."""

import functools
import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from conf.redaction import redact
from conf.schema import Config, plain
from datasets.common.fetching.download import file_sha256
from datasets.common.images import READER

ROOT = Path(__file__).resolve().parents[3]
PARAMS = ("seed", "model", "split", "fit", "probes", "study", "predict")
"""Parts of the configuration logged as parameters; the artifact config.yaml has all parts."""
UNDECISIVE = ("env", "gate", "metrics", "publish", "promotion")
"""Parts of the settings that do not decide the predictions of a run."""
PACKAGES = ("keras", "numpy", "pandas", "scikit-learn", "mlflow", "onnx", "pillow", "hydra-core")


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


@functools.cache
def _installed() -> Mapping[str, list[str]]:
    return packages_distributions()  # slow: reads the file list of every package, 1 s


def requirements(*names: str) -> list[str]:
    """Installed versions as pins of pip; on Linux without a GPU, tensorflow is tensorflow-cpu."""
    installed = _installed()
    return [f"{name}=={version(name)}" for name in (installed.get(n, [n])[0] for n in names)]


@functools.cache
def provenance() -> dict[str, str]:
    """Flat facts for tags: git revision and dirty flag, lock hash, hardware, versions."""
    revision, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    lock = ROOT / "Pipfile.lock"
    facts = {
        "git_revision": revision or "unknown",
        "git_dirty": "unknown" if changes is None else str(bool(changes)).lower(),
        "lock_sha256": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else "none",
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": f"{psutil.cpu_count()} x {platform.processor() or platform.machine()}",
        "memory_gib": f"{psutil.virtual_memory().total / 2**30:.0f}",
        "tensorflow": requirements("tensorflow")[0],
    }
    return facts | {f"version_{name}": version(name) for name in PACKAGES}


def params(settings: Config) -> dict[str, Any]:
    """The parameters of a run for MLflow, by their names on the command line."""
    parts = plain(settings)
    flat = pd.json_normalize({name: parts[name] for name in PARAMS if name in parts}, sep=".")
    shown = {
        str(key): redact(value) if isinstance(value, str) else value
        for key, value in flat.iloc[0].items()
    }
    return {**shown, "dataset.source": parts["dataset"]["source"]}


def settings_digest(settings: Config) -> str:
    """Hex sha256 of everything that decides the predictions of a run, except its data and its fold.

    It is equal for all folds of one cross-validation, and another for trials of a sweep. It covers
    the settings, the reader of images and the content of a file of weights.
    """
    parts = plain(settings)
    named = {"dataset": ("titles", "about"), "split": ("fold",), "fit": ("resume",)}
    for part, without in named.items():
        for name in without:
            parts.get(part, {}).pop(name, None)
    if parts.get("sweep") is None:
        parts.pop("sweep", None)
    decisive = {k: v for k, v in parts.items() if k not in UNDECISIVE}
    weights = Path(str(parts.get("model", {}).get("weights")))
    decisive |= {"reader": READER, "weights": file_sha256(weights) if weights.is_file() else None}
    # Redacted, because a URL with a new signature names the same data.
    text = redact(json.dumps(decisive, sort_keys=True))
    return hashlib.sha256(text.encode()).hexdigest()
