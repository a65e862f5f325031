"""Write Hydra's files of a run, `.hydra/*.yaml` and `multirun.yaml`, without credentials.

Hydra writes its whole input, also signed URLs. So `hydra.output_subdir` is null in
`conf/config.yaml`, and this callback writes those files. Hydra always writes the file of a sweep;
it is redacted when the first job starts, and again when the process ends.

A launcher of Hydra runs jobs in other processes. The callback is the first code of ours there, so
it sets up the redaction of the process.
"""

import atexit
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from conf.redaction import guard, redact

FOLDER = ".hydra"


class Redacted(Callback):
    """A callback of Hydra for sweeps and jobs."""

    def __init__(self) -> None:
        self._sweep: Path | None = None

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Remember the path of the file of the sweep."""
        self._sweep = Path(config.hydra.sweep.dir, "multirun.yaml").resolve()
        atexit.register(self._redact_sweep)

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        """Write `config.yaml`, `hydra.yaml` and `overrides.yaml` of the job."""
        guard(config.hydra.overrides.task)
        self._redact_sweep()
        folder = Path(config.hydra.runtime.output_dir, FOLDER)
        folder.mkdir(parents=True, exist_ok=True)
        parts = {
            "config": OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"]),
            "hydra": OmegaConf.masked_copy(config, ["hydra"]),
            "overrides": config.hydra.overrides.task,
        }
        for name, part in parts.items():
            _write(folder / f"{name}.yaml", OmegaConf.to_yaml(part))

    def _redact_sweep(self) -> None:
        if self._sweep is not None and self._sweep.is_file():
            _write(self._sweep, self._sweep.read_text(encoding="utf-8"))


def _write(path: Path, text: str) -> None:
    path.write_text(redact(text), encoding="utf-8")
