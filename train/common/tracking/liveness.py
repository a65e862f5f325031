"""Runs of dead processes: the next run that uses their cache closes them in MLflow.

A process that is killed cannot tell the server, and its run would stay `RUNNING` for ever. Each run
therefore holds a lock file below `<env.cache>/runs/<server>`, where `<server>` is a digest of the
tracking address. A lock that is free belongs to a dead process. Clocks and process ids, which
another process may have by then, decide nothing.

```mermaid
stateDiagram-v2
    [*] --> RUNNING: lock taken
    RUNNING --> FINISHED: told the server, lock file removed
    RUNNING --> dead: killed, the lock file stays
    dead --> KILLED: by the next run
```
"""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from conf.errors import UserError
from datasets.common.fetching.locks import Lock

log = logging.getLogger(__name__)


class Alive:
    """Holds the lock file of the run `run` in `cache`, until it has ended."""

    def __init__(self, cache: Path, tracking_uri: str, run: str) -> None:
        server = hashlib.sha256(tracking_uri.encode()).hexdigest()[:16]
        self._lock = Lock(cache / "runs" / server / run, f"the run {run}", run=run)

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Remove the lock file after the block, which tells the server how the run ended.

        If the block raises, the lock file stays, and the next run closes this one.
        """
        try:
            yield
        except BaseException:
            self._lock.leave()
            raise
        self._lock.release()

    def close_dead(self) -> None:
        """Mark the runs of this cache and server whose process has ended as `KILLED`."""
        for path in sorted(self._lock.path.parent.iterdir()):
            try:
                lock = Lock(path, path.name)
            except UserError:  # its process lives
                continue
            if close(path.name):
                log.warning("the process of run %s has died: the run is marked KILLED", path.name)
            lock.release()


def close(run: str, **tags: str) -> bool:
    """Set `tags` of `run`; whether it was `RUNNING` on the server, and is `KILLED` now."""
    client = mlflow.MlflowClient()
    try:
        running = client.get_run(run).info.status == "RUNNING"
        if running:
            client.set_terminated(run, "KILLED")
        for name, value in tags.items():
            client.set_tag(run, name, value)
    except MlflowException as error:
        log.warning("the run %s of a dead process is not on this server: %s", run, error)
        return False
    return running
