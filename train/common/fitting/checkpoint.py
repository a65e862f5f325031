"""Checkpoints, from which a repeated command continues after its last finished epoch.

Each set of inputs (settings, data, labels, splits, seed, weights) has a folder. It holds weights
and optimizer state of the last and of the best epoch, and the history, which has the sha256 of both
files. The history is written last, so the files that it names are complete. A file with another
sha256 counts as absent.

Only one process at a time trains with the same inputs; a second one stops and names the first.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from datasets.common.fetching import disk
from datasets.common.fetching.download import file_sha256
from datasets.common.fetching.locks import Lock

if TYPE_CHECKING:
    import keras

HISTORY, INPUTS = "history.json", "inputs.json"


class Checkpoints:
    """State of one training in `<cache>/checkpoints/<key>`; the key is the digest of `inputs`.

    `monitor` chooses the best epoch; `run` is the id of this run. Raises `UserError` while another
    process trains with the same inputs: until it calls `remove` or `release`, or ends.
    """

    def __init__(self, cache: Path, inputs: dict[str, Any], monitor: str, run: str = "") -> None:
        text = json.dumps(inputs, sort_keys=True, default=str)
        self.inputs: dict[str, Any] = json.loads(text)
        self.monitor, self.run = monitor, run
        self.folder = cache / "checkpoints" / hashlib.sha256(text.encode()).hexdigest()[:16]
        self._lock = Lock(
            self.folder.with_name(f"{self.folder.name}.lock"),
            f"the same training ({self.folder})",
            run=run,
            way_out="wait until it ends, or stop it and repeat the command, which continues after "
            "its last finished epoch; other settings, such as another seed, can train meanwhile",
        )
        self.folder.mkdir(exist_ok=True)
        self.run_id: str | None = None
        """The run that trained the saved epochs."""
        self.epochs: list[dict[str, Any]] = []
        self._digests: dict[str, str] = {}
        self._read()

    def _read(self) -> None:
        path = self.folder / HISTORY
        saved = _json(path)
        if saved is None:
            return
        try:
            epochs, digests, run_id = saved["epochs"], saved["weights"], saved["run_id"]
            known = {name: str(digests[name]) for name in digests}
            best = self._best([float(epoch[self.monitor]) for epoch in epochs if epoch["phase"]])
        except (KeyError, TypeError, ValueError) as error:
            disk.absent(path, f"{type(error).__name__}: {error}")
            return
        self.run_id, self._digests = run_id, known
        whole = {number for number in {len(epochs), best} if self._whole(number)}
        if best in whole:  # without the last epoch, training continues from the best one
            self.epochs = epochs[: max(whole)]

    def _whole(self, epoch: int) -> bool:
        path = self.weights(epoch)
        if epoch and path.is_file() and file_sha256(path) == self._digests.get(path.name):
            return True
        if epoch:
            disk.absent(path, "it is not what was written")
        return False

    @property
    def history(self) -> pd.DataFrame:
        """The history, one row per finished epoch."""
        return pd.DataFrame(self.epochs)

    def best(self) -> int:
        """1-based number of the best finished epoch; 0 if there is none."""
        return self._best([epoch[self.monitor] for epoch in self.epochs])

    def _best(self, values: list[float]) -> int:
        if not values:
            return 0
        return values.index(min(values) if "loss" in self.monitor else max(values)) + 1

    def save(self, model: "keras.Model", epoch: dict[str, Any]) -> None:
        """Save one finished `epoch`, and the state of `model` after it."""
        number = len(self.epochs) + 1
        path = self.weights(number)
        with disk.atomic_write(path) as draft:
            model.save_weights(draft)
            self._digests[path.name] = file_sha256(draft)
        if number == 1:
            _write(self.folder / INPUTS, self.inputs)
        self.epochs.append(epoch)
        kept = {self.weights(each).name for each in (number, self.best())}
        self._digests = {name: self._digests[name] for name in kept}
        state = {"run_id": self.run, "epochs": self.epochs, "weights": self._digests}
        _write(self.folder / HISTORY, state)
        for old in self.folder.glob("epoch-*"):
            if old.name not in kept:
                old.unlink()

    def weights(self, epoch: int) -> Path:
        """The file of the state after `epoch`, 1-based."""
        return self.folder / f"epoch-{epoch:03d}.weights.h5"

    def others(self) -> list[tuple[str, list[str]]]:
        """Unfinished trainings with the same `settings`: their run, and the inputs that differ."""
        found = []
        for path in sorted(self.folder.parent.glob(f"*/{INPUTS}")):
            theirs, state = _json(path), _json(path.with_name(HISTORY))
            if path.parent == self.folder or theirs is None or state is None:
                continue
            names = self.inputs.keys() | theirs.keys()
            differ = sorted(n for n in names if self.inputs.get(n) != theirs.get(n))
            if "settings" not in differ:
                found.append((str(state.get("run_id")), differ))
        return found

    def clear(self) -> None:
        """Remove all epochs, so that training starts from the beginning."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        self.run_id, self.epochs, self._digests = None, [], {}

    def remove(self) -> None:
        """Remove the folder and release the lock; call it when everything is logged."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.release()

    def release(self) -> None:
        """Release the lock, so that another process can continue."""
        self._lock.release()


def forget(cache: Path, runs: set[str]) -> None:
    """Remove the checkpoints that any of `runs` wrote and left for others to continue."""
    for path in (cache / "checkpoints").glob(f"*/{HISTORY}"):
        state = _json(path)
        if state is not None and state.get("run_id") in runs:
            shutil.rmtree(path.parent)


def _write(path: Path, facts: dict[str, Any]) -> None:
    with disk.atomic_write(path) as draft:
        draft.write_text(json.dumps(facts), encoding="utf-8")


def _json(path: Path) -> dict[str, Any] | None:
    """The object in `path`; None if it is absent, or damaged, which is logged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        disk.absent(path, error)
        return None
    if isinstance(found, dict):
        return found
    disk.absent(path, "it holds no JSON object")
    return None
