"""What a killed run leaves behind, so that the same command goes on from its last finished epoch.

A folder per set of inputs (settings, data, splits, seed) holds the weights and the optimizer's
state after the last epoch, those of the best epoch, and the history so far.
Every file is written beside its place and moved into it, and the history last: what the history
names is whole.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    import keras


class Checkpoints:
    """State of one training under `<cache>/checkpoints/<key>`, key being the digest of `inputs`."""

    def __init__(self, cache: Path, inputs: dict[str, Any]) -> None:
        text = json.dumps(inputs, sort_keys=True, default=str)
        self.folder = cache / "checkpoints" / hashlib.sha256(text.encode()).hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.run_id: str | None = None
        self.epochs: list[dict[str, Any]] = []
        state = self.folder / "history.json"
        if state.exists():
            saved = json.loads(state.read_text())
            self.run_id, self.epochs = saved["run_id"], saved["epochs"]

    @property
    def history(self) -> pd.DataFrame:
        """One row per finished epoch."""
        return pd.DataFrame(self.epochs)

    def best(self, monitor: str) -> int:
        """1-based number of the best finished epoch by `monitor`; 0 if there is none."""
        if not self.epochs:
            return 0
        values = self.history[monitor]
        return int(values.idxmin() if "loss" in monitor else values.idxmax()) + 1

    def save(self, model: "keras.Model", epoch: dict[str, Any], monitor: str, run_id: str) -> None:
        """Add one finished `epoch` with the state of `model` after it."""
        self.epochs.append(epoch)
        number = len(self.epochs)
        kept = {number, self.best(monitor)}
        partial = self.folder / "partial.weights.h5"
        model.save_weights(partial)
        partial.rename(self.weights(number))
        text = json.dumps({"run_id": run_id, "epochs": self.epochs})
        draft = self.folder / "history.json.partial"
        draft.write_text(text)
        draft.rename(self.folder / "history.json")
        for old in range(1, number):
            if old not in kept:
                self.weights(old).unlink(missing_ok=True)

    def weights(self, epoch: int) -> Path:
        """The file of the state after `epoch`, 1-based."""
        return self.folder / f"epoch-{epoch:03d}.weights.h5"

    def clear(self) -> None:
        """Forget everything: train from the start."""
        for path in self.folder.iterdir():
            path.unlink()
        self.run_id, self.epochs = None, []
