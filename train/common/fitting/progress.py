"""Progress of training: one bar per epoch on a terminal, and one line of the log per epoch."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)


class EpochBar:
    """A context manager whose `callback` shows Keras' batches in a rich progress bar."""

    def __init__(self) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[state]}"),
            transient=True,
        )

    def __enter__(self) -> "EpochBar":
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """A bar for work before an epoch; yields a function that adds counts. Logs the time."""
        started, done = time.perf_counter(), 0
        task = self.progress.add_task(title, total=total, state="")

        def advance(count: int) -> None:
            nonlocal done
            done += count
            self.progress.advance(task, count)

        yield advance
        self.progress.remove_task(task)
        if done:
            seconds = time.perf_counter() - started
            log.info("%s: %.0f s, %.1f ms an image", title, seconds, 1000 * seconds / done)

    def callback(self, title: str) -> "keras.callbacks.Callback":
        """A Keras callback for a `model.fit` of one epoch."""
        import keras

        progress = self.progress

        class Bar(keras.callbacks.Callback):
            def on_train_begin(self, _logs: dict[str, Any] | None = None) -> None:
                self.task = progress.add_task(title, total=self.params["steps"], state="")

            def on_train_batch_end(self, _batch: int, logs: dict[str, Any] | None = None) -> None:
                progress.update(self.task, advance=1, state=_figures(logs or {}))

            def on_epoch_end(self, _epoch: int, logs: dict[str, Any] | None = None) -> None:
                progress.remove_task(self.task)
                log.info("%s: %s", title, _figures(logs or {}))

        return Bar()


def _figures(logs: dict[str, Any]) -> str:
    return " ".join(f"{name} {value:.4f}" for name, value in logs.items())
