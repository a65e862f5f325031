"""A served model: the facts that its answers carry, and how it is loaded in the background."""

import logging
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .files import check_files
from .limits import Limits

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Facts:
    """Registered name and version of a model, its run, and its classes in order."""

    name: str
    version: str
    run_id: str
    classes: tuple[str, ...]
    window: tuple[float, ...] | None = None
    """DICOM window centre and width of the training, () for each file's own; None: not known."""
    abstention: dict[str, Any] | None = None
    """Thresholds for abstention of a classifier of images; None: it never abstains."""
    identity: dict[str, str] = field(default_factory=dict)
    """Git revision, data digest, lock hash and pipeline of its run."""
    promotion: dict[str, Any] = field(default_factory=lambda: {"how": "none"})
    """How it became champion, by `deploy/importing/promotion.py`."""
    files: dict[str, str] = field(default_factory=dict)
    """Sha256 of its files as they were imported; empty for a model of an older revision."""
    drift: dict[str, Any] | None = None
    """Profile of a classifier of images on validation images; None: drift is not measured."""

    @classmethod
    def of(cls, known: dict[str, Any]) -> "Facts":
        """The facts in the metadata that `deploy/importing` writes into BentoML's store."""
        return cls(
            known["name"],
            known["version"],
            known["run_id"],
            tuple(known["classes"]),
            window_of(known),
            known.get("abstention"),
            dict(known.get("identity", {})),
            dict(known.get("promotion", {"how": "none"})),
            dict(known.get("files", {})),
            known.get("drift"),
        )

    def public(self) -> dict[str, Any]:
        """The facts that each answer carries."""
        return {"name": self.name, "version": self.version, "run_id": self.run_id}

    def served(self) -> dict[str, Any]:
        """The facts at `/model`: also where the model comes from, and how it became champion."""
        return self.identity | self.public() | {"promotion": self.promotion}


def window_of(metadata: dict[str, Any]) -> tuple[float, ...] | None:
    """The DICOM window in a model's metadata; None if it has none."""
    known = metadata.get("dicom_window")
    return None if known is None else tuple(known)


class Servable(ABC):
    """A model in a folder, which predicts once it is `ready`; `start` checks and loads it."""

    def __init__(self, facts: Facts, folder: Path, limits: Limits) -> None:
        self.facts = facts
        self.folder = Path(folder)
        self.limits = limits
        self.failed = False

    @property
    @abstractmethod
    def ready(self) -> bool:
        """Whether the model is loaded and warm."""

    @abstractmethod
    def load(self) -> None:
        """Load the model and run it once."""

    def start(self) -> threading.Thread:
        """Check, load and warm up in the background, so that probes are answered meanwhile."""
        thread = threading.Thread(target=self._try_to_load, name="warm-up", daemon=True)
        thread.start()
        return thread

    def _try_to_load(self) -> None:
        try:
            whose = f"{self.facts.name} version {self.facts.version}"
            check_files(self.folder, self.facts.files, f"{whose} (import it again)")
            self.load()
        except Exception:
            self.failed = True
            log.critical(
                "%s version %s cannot be loaded: the service stays unready",
                self.facts.name, self.facts.version, exc_info=True,
            )  # fmt: skip
        else:
            log.info("%s version %s is ready", self.facts.name, self.facts.version)

    def _check_classes(self, outputs: int) -> None:
        if outputs != len(self.facts.classes):
            raise ValueError(
                f"{self.facts.name} {self.facts.version} has {outputs} outputs and names "
                f"{len(self.facts.classes)} classes: its metadata belongs to another model"
            )
